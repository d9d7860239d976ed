// Retrieval by descriptor: every object against all others, on classes that training did not see. Each view is embedded once; then every
// descriptor is learned and measured, trained ones with several seeds.
//   retrieval_table BACKBONE KNOWN UNKNOWN [--seeds 3]      classes to learn from, and to measure on
//   retrieval_table BACKBONE DATA --even-odd                learned on every other class, measured on those between
#include "apps/datasets/image_io.h"
#include "apps/datasets/object_dataset.h"
#include "apps/evaluation/retrieval_metrics.h"
#include "operators/dec/candidates.h"
#include "operators/dec/inference.h"

#include <ATen/ATen.h>
#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <map>

namespace
{

using namespace agpnet;
using namespace agpnet::dec;

struct Data
{
    EmbeddedObjects embedded;
    std::vector<tools::LabelledObject> labels;
};

Data embed(const Network& network, const std::string& path)
{
    const tools::ObjectDataset set = tools::listObjects(path);
    std::map<std::string, int64_t> classes;
    for (const auto& [name, members] : set.classes())
        classes.emplace(name, static_cast<int64_t>(classes.size()));
    Data data;
    for (const tools::Object& object : set.objects)
    {
        std::vector<Frame> frames;
        for (const auto& view : object.views)
            frames.emplace_back(tools::readImage(view), view.string());
        data.embedded.views.push_back(embedded(network, frames));
        data.embedded.classes.push_back(classes.at(object.className));
        data.labels.push_back({object.name, object.className});
    }
    data.embedded.classCount = static_cast<int64_t>(classes.size());
    return data;
}

Data some(const Data& data, int64_t remainder)
{
    std::vector<size_t> chosen;
    for (size_t i = 0; i < data.labels.size(); i++)
        if (data.embedded.classes[i] % 2 == remainder)
            chosen.push_back(i);
    Data part{data.embedded.chosen(chosen), {}};
    for (int64_t& number : part.embedded.classes)
        number /= 2; // from 0 again
    part.embedded.classCount = (data.embedded.classCount + 1 - remainder) / 2;
    for (const size_t i : chosen)
        part.labels.push_back(data.labels[i]);
    return part;
}

tools::RetrievalMetrics measured(const Space& space, const Data& data)
{
    std::vector<at::Tensor> rows;
    for (const at::Tensor& views : data.embedded.views)
        rows.push_back(space.describe(views, true));
    const at::Tensor all = at::stack(rows), similarities = at::matmul(all, all.t()).contiguous();
    const auto side = static_cast<int>(similarities.size(0));
    tools::RetrievalOptions options;
    options.drawings = 0;
    return tools::retrievalMetrics(tools::leaveOneOut(cv::Mat(side, side, CV_32F, similarities.data_ptr()), data.labels), options);
}

struct Row
{
    const char* name;
    WhiteningKind whitening;
    double shrink;
    AdapterKind adapter;
    double rate;
    int classesPerBatch;
};

constexpr Row rows[] = {{"mean", WhiteningKind::None, 0, AdapterKind::Mean, 0, 0},
                        {"centred mean", WhiteningKind::Centred, 0, AdapterKind::Mean, 0, 0},
                        {"whitened by objects, shrink 0.1", WhiteningKind::Objects, 0.1, AdapterKind::Mean, 0, 0},
                        {"whitened by objects, shrink 1", WhiteningKind::Objects, 1, AdapterKind::Mean, 0, 0},
                        {"whitened by classes, shrink 0.1", WhiteningKind::Classes, 0.1, AdapterKind::Mean, 0, 0},
                        {"whitened by classes, shrink 0.3", WhiteningKind::Classes, 0.3, AdapterKind::Mean, 0, 0},
                        {"whitened by classes, shrink 1", WhiteningKind::Classes, 1, AdapterKind::Mean, 0, 0},
                        {"centred, MLP, 2 x 4", WhiteningKind::Centred, 0, AdapterKind::Mlp, 1e-3, 2},
                        {"centred, CAM (paper), 2 x 4", WhiteningKind::Centred, 0, AdapterKind::Cam, 1e-3, 2},
                        {"centred, CAM (paper), 6 x 4", WhiteningKind::Centred, 0, AdapterKind::Cam, 1e-3, 6},
                        {"centred, CAM (ours), 6 x 4", WhiteningKind::Centred, 0, AdapterKind::CamFromMean, 3e-3, 6},
                        {"whitened by classes, CAM (ours)", WhiteningKind::Classes, 0.3, AdapterKind::CamFromMean, 3e-3, 6}};

void print(const std::string& name, const std::vector<tools::RetrievalMetrics>& all, double seconds)
{
    const auto column = [&](auto metric) {
        double mean = 0, square = 0;
        for (const tools::RetrievalMetrics& each : all)
            mean += 100 * metric(each) / static_cast<double>(all.size());
        for (const tools::RetrievalMetrics& each : all)
            square += std::pow(100 * metric(each) - mean, 2);
        if (all.size() == 1)
            std::printf(" %6.2f        ", mean);
        else
            std::printf(" %6.2f +- %4.2f", mean, std::sqrt(square / static_cast<double>(all.size() - 1)));
    };
    std::printf("%-40s", name.c_str());
    column([](const auto& m) { return m.mapInterpolated.value; });
    column([](const auto& m) { return m.map.value; });
    column([](const auto& m) { return m.nn.value; });
    column([](const auto& m) { return m.ndcg.value; });
    column([](const auto& m) { return m.anmrr.value; });
    std::printf(" %6.1f\n", seconds);
    std::fflush(stdout);
}

} // namespace

int main(int argc, char** argv)
{
    CLI::App app("Retrieval by descriptor");
    std::string path, known, unknown;
    int seeds = 3;
    bool evenOdd = false;
    app.add_option("backbone", path)->required();
    app.add_option("known", known)->required();
    app.add_option("unknown", unknown);
    app.add_option("--seeds", seeds);
    app.add_flag("--even-odd", evenOdd);
    CLI11_PARSE(app, argc, argv);
    try
    {
        const Backbone backbone = readBackbone(path);
        const Config config = completed({}, backbone.config);
        const Network network(config, backbone,
                              {{}, Adapter(AdapterKind::Mean, backbone.config.embeddingWidth(config.embedding), config.lambda, 0)},
                              ComputeType::Float32);
        const Data all = embed(network, known);
        const Data learn = evenOdd ? some(all, 0) : all, test = evenOdd ? some(all, 1) : embed(network, unknown);
        std::printf("%s: learned from %zu objects, measured on %zu; float32\n", backbone.name.c_str(), learn.labels.size(),
                    test.labels.size());
        std::printf("%-40s %-15s%-15s%-15s%-15s%-15s%s\n", "descriptor", "mAP interp.", "mAP", "NN", "NDCG", "ANMRR", "s a training");
        for (const Row& row : rows)
        {
            std::vector<tools::RetrievalMetrics> found;
            const auto start = std::chrono::steady_clock::now();
            const int runs = row.adapter == AdapterKind::Mean ? 1 : seeds;
            for (int seed = 0; seed < runs; seed++)
            {
                Config own = config;
                own.seed = static_cast<uint64_t>(seed);
                own.learningRate = row.rate;
                own.classesPerBatch = std::max(2, row.classesPerBatch);
                found.push_back(measured(*learned({row.name, row.whitening, row.shrink, row.adapter}, own, learn.embedded, {}), test));
            }
            print(row.name, found, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / runs);
        }
        const auto compared = dec::compared(config, learn.embedded, {});
        const Candidate& best = compared->candidates[compared->best];
        print("chosen on held-out classes", {measured(*learned(best, config, learn.embedded, {}), test)}, 0);
        std::printf("chosen: %s\n", best.name.c_str());
    }
    catch (const std::exception& error)
    {
        std::fprintf(stderr, "retrieval_table: %s\n", error.what());
        return 1;
    }
    return 0;
}

#include "operators/agpnet/trainer.h"

#include "agpnet/version.hpp"
#include "common/config_fields.h"
#include "common/json_text.h"
#include "common/stopwatch.h"
#include "models/agpnet/config.h"
#include "models/device/device.h"
#include "operators/training/augment.h"
#include "operators/agpnet/calibration.h"
#include "operators/agpnet/detector.h"
#include "operators/agpnet/training/early_stopping.h"
#include "operators/agpnet/training/fewer_bits.h"
#include "operators/core/forked.h"
#include "operators/core/opencv_exceptions.h"
#include "operators/image/preprocess.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>
#include <ctime>
#include <optional>
#include <set>
#include <torch/version.h>

namespace agpnet
{
namespace
{

constexpr size_t recentImages = 32;    ///< kept for thresholds when batches come one by one
constexpr size_t mostMeasured = 64;    ///< pictures that the scale of the features is taken from
constexpr size_t mostMeasuredOfEach = 16; ///< where products are many
constexpr size_t mostChecked = 32;     ///< pictures of all products together that early stopping looks at
constexpr size_t copiesOfShot = 16;    ///< augmented copies of a few-shot picture that thresholds are taken from

std::string now()
{
    const std::time_t time = std::time(nullptr);
    std::tm parts{};
    gmtime_r(&time, &parts);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text;
}

/// The same training with more steps, to which its schedule is stretched. One whose end has begun ends where it was to.
Training lengthened(const Training& training, int steps)
{
    Config config = training.config();
    NamedTensors state = training.state();
    for (auto& [name, tensor] : state)
        if (name == "last_step" && training.lastStep() == config.steps)
            tensor = at::tensor({static_cast<int64_t>(steps)}, at::kLong);
    config.steps = steps;
    Training longer(config, training.backbone(), training.device());
    longer.restore(state);
    return longer;
}

/// A training goes on as it was begun: what a caller now says must be that, but for more steps.
void requireSame(Training& training, const std::string& path, const std::string& backbone, const nlohmann::json& given)
{
    const nlohmann::json begun = training.config();
    const Config wanted = completed(given.get<Config>(), training.backbone().config);
    const nlohmann::json now = wanted;
    std::vector<std::string> different;
    if (!backbone.empty())
        if (const Backbone other = readBackbone(backbone); other.hash != training.backbone().hash)
            different.push_back(fmt::format("the backbone is {}, was {}", other.name, training.backbone().name));
    const auto allowed = [&](const std::string& key)
    { return (key == "steps" && now.at(key) > begun.at(key)) || (key == "bits" && wanted.bits == 0); }; // 0 bits: those that were found
    requireSameOptions(path, begun, now, keysOf(given), allowed, std::move(different));
    if (given.contains("steps") && wanted.steps > training.config().steps)
        training = lengthened(training, wanted.steps);
}

Features featuresOf(TrainingImages& images, const std::vector<View>& views)
{
    std::vector<at::Tensor> computed = images.computed(views);
    return {std::move(computed.at(0)), std::move(computed.at(1))};
}

} // namespace

class TrainerImpl::Task final : public TrainingTask
{
public:
    Task(TrainerImpl& trainer, TrainingImages& images, const std::vector<Normals>& normals)
        : trainer_(trainer), images_(images), normals_(normals)
    {
    }

    const ProcessGroup& processes() const override { return trainer_.training_.processes(); }
    int64_t stepsDone() const override { return trainer_.training_.stepsDone(); }
    int64_t lastStep() const override { return trainer_.training_.lastStep(); }
    double step() override { return trainer_.stepOn(images_); }
    std::optional<double> check() override { return trainer_.checked(normals_); }
    void beginEnd() override { trainer_.training_.beginEnd(); }
    std::map<std::string, double> times() const override
    {
        const Training::Times& steps = trainer_.training_.times();
        return {{"reading", images_.times().reading}, {"backbone", images_.times().backbone}, {"noise", steps.noise},
                {"decoder", steps.decoder},           {"optimiser", steps.optimiser}};
    }

private:
    TrainerImpl& trainer_;
    TrainingImages& images_;
    const std::vector<Normals>& normals_;
};

TrainerImpl::TrainerImpl(Training training, TrainingRecord record)
    : training_(std::move(training)),
      record_(std::move(record)), range_{training_.config().bits, record_.values ? record_.values->least : 0}
{
}

TrainerImpl::~TrainerImpl() = default;

double TrainerImpl::stepBatch(const at::Tensor& batch)
{
    const Stopwatch watch;
    const double loss = training_.step(batch);
    for (int64_t i = 0; i < batch.size(0); i++)
    {
        recent_.push_back(batch[i].unsqueeze(0));
        if (recent_.size() > recentImages)
            recent_.pop_front();
    }
    return recorded(loss, watch.seconds(), batch.size(0));
}

double TrainerImpl::recorded(double loss, double seconds, int64_t images)
{
    record_.seconds += seconds;
    record_.imagesSeen += images;
    if (!record_.firstLoss)
        record_.firstLoss = loss;
    record_.lastLoss = loss;
    scores_ = {}; // thresholds of an earlier state no longer hold
    products_.clear();
    return loss;
}

double TrainerImpl::stepTensor(const at::Tensor& images, const char* what)
{
    const int channels = inputChannels(training_.config());
    require(images.dim() == 4 && images.size(1) == channels, "{}: shape [{}], expected [N, {}, H, W]", what,
            fmt::join(images.sizes(), ", "), channels);
    checkBlob(images, what);
    const at::Tensor batch = resized(images, getInputSize());
    return stepBatch(batch.is_alias_of(images) ? batch.clone() : batch);
}

double TrainerImpl::step(cv::InputArrayOfArrays images)
{
    return guarded([&] {
        requireThreads();
        const std::vector<cv::Mat> mats = matsOf(images);
        std::vector<int> values;
        for (const cv::Mat& mat : mats)
            if (mat.depth() == CV_16U && !mat.empty())
                values.push_back(greatestValue(mat));
        if (!values.empty() && !record_.values)
            settleRange(values);
        else if (!values.empty()) // batches come one by one: what was found in the first holds for all
            require(*std::max_element(values.begin(), values.end()) <= range_.most(),
                    "an image holds values up to {}, more than the {} bits of the first batch; the config's 'bits' says what they are",
                    *std::max_element(values.begin(), values.end()), range_.bits);
        return stepBatch(imagesToBatch(mats, getInputSize(), range_));
    });
}

double TrainerImpl::stepBlob(cv::InputArray blob)
{
    return guarded([&] {
        requireThreads();
        const cv::Mat mat = blob.getMat();
        require(mat.dims == 4 && mat.type() == CV_32F && mat.isContinuous(),
                "blob: {} dimensions of {}, expected a continuous [N, 3, H, W] of CV_32F", mat.dims, cv::typeToString(mat.type()));
        return stepTensor(at::from_blob(mat.data, {mat.size[0], mat.size[1], mat.size[2], mat.size[3]}, at::kFloat), "blob");
    });
}

bool TrainerImpl::fit(size_t count, const std::function<cv::Mat(size_t)>& image, const std::function<bool(const TrainProgress&)>& keepGoing)
{
    return fit({{"", count, image}}, keepGoing);
}

void TrainerImpl::settleRange(const std::vector<int>& greatestValues)
{
    const auto [least, greatest] = std::minmax_element(greatestValues.begin(), greatestValues.end());
    const bool given = training_.config().bits > 0;
    if (!given)
        training_.setBits(bitsFor(*greatest));
    range_ = {training_.config().bits, *least};
    const auto above = std::count_if(greatestValues.begin(), greatestValues.end(), [&](int value) { return value > range_.most(); });
    record_.values = ValuesRecord{range_.bits, given, greatestValues.size(), *least, *greatest, above};
}

void TrainerImpl::findRange(const std::vector<ImageSet>& products, const TrainingOrder& order)
{
    std::vector<int> values;
    for (size_t i = 0; i < products.size(); i++)
        for (const std::vector<size_t>* part : {&order.splits()[i].trained, &order.splits()[i].heldBack})
            for (const size_t image : *part)
                if (const cv::Mat read = products[i].image(image); read.depth() == CV_16U && !read.empty())
                    values.push_back(greatestValue(read));
    settleRange(values);
}

bool TrainerImpl::fit(const std::vector<ImageSet>& given, const std::function<bool(const TrainProgress&)>& keepGoing)
{
    return guarded([&] {
        requireThreads();
        TrainingOrder order = orderOf(given);
        // when the first 16-bit image is met: what was computed before was of others, which have no need of it
        bool found = record_.values.has_value();
        std::vector<ImageSet> products = given;
        for (ImageSet& product : products)
            product.image = [this, &given, &order, &found, read = product.image](size_t i) {
                cv::Mat image = read(i);
                if (!found && image.depth() == CV_16U && !image.empty())
                {
                    findRange(given, order);
                    found = true;
                }
                return image;
            };
        recordImages(products, order);
        const Config& config = training_.config();
        const TrainingInput input{getInputSize(), inspectionOf(config).tiling, config.seed, int64_t{config.cacheMiB} << 20};
        TrainingImages images(products, order, input, range_, [this](const at::Tensor& image) -> std::vector<at::Tensor> {
            const Features features = training_.features(image);
            return {features.tokens, features.prior};
        });
        const ProcessGroup& processes = training_.processes();
        require(getBatchSize() % processes.size() == 0,
                "config: 'batch' is {}, expected a multiple of the {} processes that train together", getBatchSize(), processes.size());
        if (!training_.measured())
        {
            measureOn(images, products.size());
            training_.join(processes); // to the last bit
        }
        const std::vector<Normals> normals = normalsOf(products, order);
        Task task(*this, images, normals);
        if (!runTraining(task, record_, keepGoing))
            return false;
        if (processes.rank() > 0)
            return true;
        const TimeInto time(record_.profile["thresholds"]);
        calibrateOn(normals, inspectionOf(config));
        return true;
    });
}

TrainingOrder TrainerImpl::orderOf(const std::vector<ImageSet>& products) const
{
    require(!products.empty(), "no products to train on, expected at least one");
    std::vector<size_t> counts;
    std::set<std::string> names;
    for (const ImageSet& product : products)
    {
        require(product.count > 0, "no training images{}, expected at least one",
                product.name.empty() ? "" : fmt::format(" of '{}'", product.name));
        require(!product.name.empty() || products.size() == 1, "one of {} products has no name, expected one for each", products.size());
        require(names.insert(product.name).second, "two products are called '{}', expected names that differ", product.name);
        counts.push_back(product.count);
    }
    return {counts, training_.config().seed, static_cast<size_t>(training_.config().shots)};
}

void TrainerImpl::recordImages(const std::vector<ImageSet>& products, const TrainingOrder& order)
{
    std::vector<SetRecord> sets;
    record_.images = record_.imagesHeldOut = 0;
    for (size_t i = 0; i < products.size(); i++)
    {
        const Split& split = order.splits()[i];
        SetRecord& set = sets.emplace_back(SetRecord{products[i].name, products[i].count, split.heldBack.size(), {}});
        if (training_.config().shots > 0)
            set.chosen = split.trained;
        record_.images += split.trained.size();
        record_.imagesHeldOut += split.heldBack.size();
    }
    // other images would be taken in another order, and a resumed training would not be the one that was begun
    if (getStepsDone() > 0 && !record_.sets.empty())
        require(record_.sets == sets, "the training was begun with the images {}, and cannot go on with {}", toJson(record_.sets).dump(),
                toJson(sets).dump());
    record_.sets = std::move(sets);
}

double TrainerImpl::stepOn(TrainingImages& pictures)
{
    const Stopwatch watch;
    const Config& config = training_.config();
    const auto whole = static_cast<size_t>(getBatchSize()), size = whole / static_cast<size_t>(training_.processes().size());
    const size_t first = size * static_cast<size_t>(training_.processes().rank()); // in the batch
    std::vector<View> views;
    for (size_t i = 0; i < size; i++)
        views.push_back(pictures.view(static_cast<size_t>(getStepsDone()) * whole + first + i));

    at::Tensor images;
    if (training_.needsImages() || !config.augment.empty())
    {
        std::vector<cv::Mat> batch;
        for (size_t i = 0; i < size; i++)
            batch.push_back(augmented(pictures.read(views[i]), config.augment, AugmentFor::Training, config.seed,
                                      static_cast<uint64_t>(getStepsDone()), first + i));
        images = imagesToBatch(batch, getInputSize(), range_);
    }
    const Features features = config.augment.empty() ? featuresOf(pictures, views) : training_.features(images);
    const double loss = training_.step(features, images);
    return recorded(loss, watch.seconds(), static_cast<int64_t>(whole));
}

std::pair<size_t, std::function<Frame(size_t)>> TrainerImpl::inTurns(const std::vector<Normals>& products, size_t most)
{
    std::vector<std::pair<size_t, size_t>> chosen; // product and picture
    for (size_t i = 0; i < mostCalibrated && chosen.size() < most; i++)
        for (size_t product = 0; product < products.size() && chosen.size() < most; product++)
            if (i < products[product].count)
                chosen.emplace_back(product, i);
    const size_t count = chosen.size();
    return {count, [&products, chosen = std::move(chosen)](size_t i) { return products[chosen[i].first].image(chosen[i].second); }};
}

std::optional<double> TrainerImpl::checked(const std::vector<Normals>& normals)
{
    const Config& config = training_.config();
    if (!config.earlyStop || training_.lastStep() < config.steps || getStepsDone() % stepsBetweenChecks != 0)
        return {};
    if (!check_)
    {
        const auto [count, image] = inTurns(normals, mostChecked);
        check_ = std::make_unique<DefectCheck>(training_, count, image, inspectionOf(config).tiling);
    }
    return check_->separation(training_);
}

void TrainerImpl::measureOn(TrainingImages& pictures, size_t products)
{
    const Stopwatch watch;
    std::vector<View> views;
    std::vector<int64_t> shown;
    // a product comes once among as many places as there are products: none is left out
    const size_t wanted = std::max(mostMeasured, mostMeasuredOfEach * products);
    for (size_t i = 0; i < std::min(pictures.trained(), wanted); i++)
    {
        views.push_back(pictures.view(i));
        shown.push_back(static_cast<int64_t>(views.back().product));
    }
    training_.measure(featuresOf(pictures, views), shown);
    record_.seconds += watch.seconds();
}

std::vector<TrainerImpl::Normals> TrainerImpl::normalsOf(const std::vector<ImageSet>& products, const TrainingOrder& order) const
{
    const Config& config = training_.config();
    std::vector<Normals> normals;
    for (size_t i = 0; i < products.size(); i++)
    {
        const Split& split = order.splits()[i];
        const auto& read = products[i].image;
        if (config.shots > 0)
        {
            // nothing could be held back: copies changed in ways that training has not shown
            const size_t shots = split.trained.size();
            const std::vector<Augmentation> names = config.augment.empty() ? std::vector{Augmentation::FewShot} : config.augment;
            normals.push_back({products[i].name, "augmented", std::min(mostCalibrated, copiesOfShot * shots),
                               [this, &read, &split, &config, names, shots](size_t n)
                               {
                                   return Frame(augmented(read(split.trained[n % shots]), names, AugmentFor::Thresholds, config.seed,
                                                          n / shots, n % shots),
                                                "image", range_);
                               }});
            continue;
        }
        const bool held = !split.heldBack.empty();
        const std::vector<size_t>& images = held ? split.heldBack : split.trained;
        normals.push_back({products[i].name, held ? "held-back" : "training", std::min(images.size(), mostCalibrated),
                           [this, &read, &images](size_t n) { return Frame(read(images[n]), "image", range_); }});
    }
    return normals;
}

void TrainerImpl::calibrate(size_t count, const std::function<cv::Mat(size_t)>& image, bool heldBack)
{
    guarded([&] {
        requireThreads();
        require(count > 0, "no images to take thresholds from, expected at least one");
        calibrateOn({{"", heldBack ? "held-back" : "training", count, [&](size_t i) { return Frame(image(i), "image", range_); }}},
                    inspectionOf(training_.config()));
    });
}

void TrainerImpl::calibrateOn(const std::vector<Normals>& products, const Inspection& inspection) const
{
    const auto [count, image] = inTurns(products, picturesForFewerBits);
    fewerBits_ = measuredFewerBits(training_, count, image, inspection.tiling);
    // thresholds in the type that detection will choose
    const AgpNet net = training_.model(chosenType(fewerBits_, "auto", training_.device()), fewerBits_.ranges());
    CalibrationOptions options;
    options.falseAlarms = training_.config().falseAlarms;
    CalibrationScores all;
    std::vector<ProductScores> perProduct;
    for (const Normals& product : products)
    {
        CalibrationScores found(product.from);
        for (size_t i = 0; i < product.count; i++)
            found.addNormal(predict(net, {product.image(i)}, inspection)[0]);
        if (!product.name.empty())
            perProduct.push_back({product.name, found.statistics(options)});
        all.add(found);
    }
    scores_ = all.statistics(options);
    products_ = std::move(perProduct);
    drift_ = all.driftRange(net.products());
}

TrainingProcess TrainerImpl::joinProcesses()
{
    return guarded([&] {
        training_.join(ProcessGroup::fromEnvironment());
        return TrainingProcess{training_.processes().rank(), training_.processes().size()};
    });
}

ModelFile TrainerImpl::modelFile() const
{
    require(training_.processes().rank() == 0, "this is process {} of {}: process 0 has the thresholds, and can save the model",
            training_.processes().rank(), training_.processes().size());
    if (scores_.count == 0)
    {
        withErrorsOf(ErrorKind::State, [&] { require(!recent_.empty(), "the model has not been trained: no step was taken"); });
        Inspection inspection = inspectionOf(training_.config());
        if (inspection.tiling.side > 0) // the batches were tiles, in which the image's region has no place
            inspection = {};
        calibrateOn({{"", "training", recent_.size(), [&](size_t i) { return Frame(recent_[i]); }}}, inspection);
    }
    ModelFile file;
    file.config = training_.config();
    file.backbone = training_.backbone();
    file.scale = training_.scale().on(at::kCPU);
    for (const auto& [name, tensor] : training_.decoder().parameters())
        file.decoder.emplace_back(name, tensor.detach().to(at::kCPU));
    file.scores = scores_;
    file.products = products_;
    file.drift = drift_;
    file.fewerBits = fewerBits_;
    file.record = record_;
    file.record.end = EndRecord{getStepsDone(),
                                training_.noiseUnit(),
                                now(),
                                training_.device().str(),
                                nameOf(training_.compute()),
                                training_.processes().size(),
                                {{"agpnet", version()}, {"libtorch", TORCH_VERSION}, {"opencv", CV_VERSION}}};
    return file;
}

void TrainerImpl::saveModel(const std::string& path, bool embedBackbone)
{
    writeModel(path, modelFile(), embedBackbone ? EmbedBackbone::Yes : EmbedBackbone::No);
}

void TrainerImpl::save(const std::string& path, bool embedBackbone)
{
    guarded([&] {
        requireThreads(); // thresholds may have to be taken first
        saveModel(path, embedBackbone);
    });
}

void TrainerImpl::saveState(const std::string& path) const
{
    guarded([&] { writeTrainingState(path, training_, record_); });
}

std::string TrainerImpl::getConfig() const
{
    return nlohmann::json(training_.config()).dump();
}

std::string TrainerImpl::getRecord() const
{
    return nlohmann::json(record_).dump();
}

void TrainerImpl::note(const std::string& key, const std::string& json)
{
    guarded([&] {
        record_.addNote(key, parseJson(json, fmt::format("note '{}'", key)));
    });
}

cv::Ptr<AnomalyDetector> TrainerImpl::getDetector() const
{
    return guarded([&]() -> cv::Ptr<AnomalyDetector> {
        requireThreads();
        const ModelFile file = modelFile();
        return cv::makePtr<DetectorImpl>(std::make_shared<const Inference>(file, "auto", training_.device()),
                                         headerOf(file, EmbedBackbone::Yes).dump());
    });
}

cv::Ptr<AnomalyTrainer> AnomalyTrainer::create(const std::string& backbone, const std::string& config, const std::string& device)
{
    return guarded([&]() -> cv::Ptr<AnomalyTrainer> {
        requireThreads();
        const Config parsed = configFromTextOrFile(config);
        const at::Device where = deviceNamed(device);
        return cv::Ptr<AnomalyTrainer>(new TrainerImpl(Training(parsed, readBackbone(backbone), where)));
    });
}

cv::Ptr<AnomalyTrainer> AnomalyTrainer::resume(const std::string& path, const std::string& device)
{
    return resume(path, device, "", "");
}

cv::Ptr<AnomalyTrainer> AnomalyTrainer::resume(const std::string& path, const std::string& device, const std::string& backbone,
                                               const std::string& config)
{
    return guarded([&]() -> cv::Ptr<AnomalyTrainer> {
        requireThreads();
        TrainingState state = readTrainingState(path, deviceNamed(device));
        requireSame(state.training, path, backbone, configJson(config));
        return cv::Ptr<AnomalyTrainer>(new TrainerImpl(std::move(state.training), state.extra.get<TrainingRecord>()));
    });
}

} // namespace agpnet

// The program around a tiny backbone: a training that is stopped in any way goes on to the same model, bit for bit; several products,
// few pictures, regions of interest.
#include "tests/end_to_end/program.h"
#include "tests/support/tiny_backbone.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/videoio.hpp>
#include <map>
#include <netinet/in.h>
#include <random>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace agpnet
{
namespace
{

using nlohmann::json;
using test::firstLine;
using test::Outcome;
using test::run;
using test::shellQuoted;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

using Arguments = std::vector<std::string>;

/// The program in a process of its own, that can be sent signals.
class Process
{
public:
    /// @param largestFile  bytes that a file may have; 0: any
    /// @param variables    of the environment, beside those of this process
    explicit Process(const Arguments& arguments, rlim_t largestFile = 0, const std::map<std::string, std::string>& variables = {})
    {
        int ends[2];
        if (::pipe(ends) != 0)
            throw std::runtime_error("no pipe");
        std::vector<char*> list;
        Arguments all = arguments;
        all.insert(all.begin(), AGPNET_PROGRAM);
        for (std::string& argument : all)
            list.push_back(argument.data());
        list.push_back(nullptr);
        child_ = ::fork();
        if (child_ == 0)
        {
            ::dup2(ends[1], STDOUT_FILENO);
            ::dup2(ends[1], STDERR_FILENO);
            ::close(ends[0]);
            ::close(ends[1]);
            if (largestFile > 0)
            {
                const rlimit limit{largestFile, largestFile};
                ::setrlimit(RLIMIT_FSIZE, &limit);
            }
            for (const auto& [name, value] : variables)
                ::setenv(name.c_str(), value.c_str(), 1);
            ::execv(list[0], list.data());
            ::_exit(127);
        }
        ::close(ends[1]);
        output_ = ends[0];
    }
    ~Process()
    {
        if (child_ > 0)
        {
            ::kill(child_, SIGKILL);
            finish();
        }
        ::close(output_);
    }
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    /// Until the text was printed, or the program ended.
    void waitFor(const std::string& text)
    {
        while (text_.find(text) == std::string::npos && readMore())
        {
        }
    }
    void send(int signal) { ::kill(child_, signal); }

    Outcome finish()
    {
        while (readMore())
        {
        }
        int status = 0;
        ::waitpid(child_, &status, 0);
        child_ = -1;
        return {WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), text_};
    }

private:
    bool readMore()
    {
        char buffer[4096];
        const ssize_t n = ::read(output_, buffer, sizeof buffer);
        if (n > 0)
            text_.append(buffer, static_cast<size_t>(n));
        return n > 0;
    }

    pid_t child_ = -1;
    int output_ = -1;
    std::string text_;
};

class TinyModel : public ::testing::Test
{
protected:
    static void SetUpTestSuite()
    {
        ::setenv("OMP_NUM_THREADS", "1", 1); // so small a model only waits for more threads
        folder = new test::TempFolder;
        backbone = test::writeTinyBackbone(*folder);
        for (const auto& [name, most] : {std::pair<const char*, double>{"nuts", 256}, {"bolts", 120}})
            for (int i = 0; i < 6; i++)
            {
                cv::Mat image(40, 48, CV_8UC3);
                cv::RNG(static_cast<uint64_t>(i) + 1).fill(image, cv::RNG::UNIFORM, 0, most);
                cv::imwrite(*folder / (std::string(name) + "/" + std::to_string(i) + ".png"), image);
            }
    }
    static void TearDownTestSuite()
    {
        delete folder;
        folder = nullptr;
        ::unsetenv("OMP_NUM_THREADS");
    }

    static Arguments train(const std::string& out, int steps, const Arguments& more = {})
    {
        Arguments arguments = {"train",      "--data",  (folder->path() / "nuts").string(), "--out", (folder->path() / out).string(),
                               "--backbone", backbone,  "--reference-backbone",             "--config", test::tinyConfig(steps)};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return arguments;
    }

    static bool exists(const std::string& name) { return fs::exists(folder->path() / name); }

    static void expectSameTensors(const std::string& a, const std::string& b)
    {
        const TensorFile left = readSafetensors(folder->path() / a), right = readSafetensors(folder->path() / b);
        ASSERT_EQ(left.tensors.size(), right.tensors.size());
        ASSERT_GT(left.tensors.size(), 10u);
        for (const auto& [name, tensor] : left.tensors)
            EXPECT_TRUE(tensor.equal(right.tensors.at(name))) << name;
    }

    /// Nothing but what is named may lie beside a model: no part of a file that was being written.
    static void expectNoParts()
    {
        for (const auto& entry : fs::directory_iterator(folder->path()))
            EXPECT_EQ(entry.path().string().find(".part-"), std::string::npos) << entry.path();
    }

    static json headerOf(const std::string& name)
    {
        return json::parse(readSafetensors(folder->path() / name).metadata.at("agpnet"));
    }

    static test::TempFolder* folder;
    static std::string backbone;
};
test::TempFolder* TinyModel::folder = nullptr;
std::string TinyModel::backbone;

class StoppedTraining : public TinyModel
{
protected:
    static constexpr int steps = 80;
    void SetUp() override
    {
        if (!exists("whole.agp"))
        {
            const Outcome outcome = Process(train("whole.agp", steps)).finish();
            ASSERT_EQ(outcome.code, 0) << outcome.text;
        }
    }

    static void goOn(const std::string& out)
    {
        const Outcome outcome = Process(train(out, steps, exists(out + ".state") ? Arguments{"--resume"} : Arguments{})).finish();
        ASSERT_EQ(outcome.code, 0) << outcome.text;
        EXPECT_FALSE(exists(out + ".state")) << "it is of no more use";
    }
};

TEST_F(StoppedTraining, BySignalSavesItsStateAndSaysHowToGoOn)
{
    for (const int signal : {SIGINT, SIGTERM})
    {
        const std::string out = "signal" + std::to_string(signal) + ".agp";
        Process first(train(out, steps));
        first.waitFor("step 1/");
        first.send(signal);
        const Outcome outcome = first.finish();
        if (outcome.code != 0) // else it was quicker than the signal
        {
            EXPECT_EQ(outcome.code, 130) << outcome.text;
            EXPECT_THAT(outcome.text, HasSubstr("--resume goes on"));
            EXPECT_TRUE(exists(out + ".state"));
            EXPECT_FALSE(exists(out));
            goOn(out);
        }
        expectSameTensors("whole.agp", out);
    }
    expectNoParts();
}

TEST_F(StoppedTraining, ByKillAtAnyTimeGoesOnFromTheLastCheckpoint)
{
    std::mt19937 random(20);
    for (int attempt = 0; attempt < 4; attempt++)
    {
        const std::string out = "killed" + std::to_string(attempt) + ".agp";
        const bool atOnce = attempt == 0; // perhaps before there is anything to go on from
        for (int kills = 0; kills < 2 && !exists(out); kills++)
        {
            Process run(
                train(out, steps, exists(out + ".state") ? Arguments{"--checkpoint", "0", "--resume"} : Arguments{"--checkpoint", "0"}));
            if (!atOnce)
                run.waitFor("step ");
            std::this_thread::sleep_for(std::chrono::milliseconds(random() % 300));
            run.send(SIGKILL);
            run.finish();
        }
        if (!exists(out))
            goOn(out);
        expectSameTensors("whole.agp", out);
    }
    expectNoParts();
}

TEST_F(StoppedTraining, ByAFullDiskKeepsTheOldState)
{
    // a limit on file sizes is what a full disk looks like from inside: write() fails half-way
    constexpr rlim_t little = 50'000;
    const std::string out = "full.agp";
    {
        const Outcome outcome = Process(train(out, 4, {"--checkpoint", "0"}), little).finish();
        EXPECT_EQ(outcome.code, 1) << outcome.text;
        EXPECT_THAT(outcome.text, HasSubstr("full.agp.state: cannot be written"));
        EXPECT_THAT(outcome.text, HasSubstr("training goes on"));
        EXPECT_THAT(outcome.text, HasSubstr("full.agp: cannot be written"));
        EXPECT_FALSE(exists(out));
        EXPECT_FALSE(exists(out + ".state"));
        expectNoParts();
    }
    Process first(train(out, steps));
    first.waitFor("step 1/");
    first.send(SIGINT);
    if (first.finish().code == 0)
        GTEST_SKIP() << "the training was quicker than the signal";
    const std::string state = test::readBytes(folder->path() / (out + ".state"));
    const Outcome outcome = Process(train(out, steps, {"--resume", "--checkpoint", "0"}), little).finish();
    EXPECT_EQ(outcome.code, 1) << outcome.text;
    EXPECT_THAT(outcome.text, HasSubstr("the training is kept in"));
    EXPECT_EQ(test::readBytes(folder->path() / (out + ".state")), state);
    goOn(out);
    expectSameTensors("whole.agp", out);
    expectNoParts();
}

TEST_F(StoppedTraining, DoesNotGoOnWithOtherPictures)
{
    const std::string out = "other.agp";
    Process first(train(out, 2000));
    first.waitFor("step 1/");
    first.send(SIGINT);
    ASSERT_EQ(first.finish().code, 130);
    Arguments other = train(out, 2000, {"--resume"});
    other[2] = (folder->path() / "bolts").string();
    const Outcome outcome = Process(other).finish();
    EXPECT_EQ(outcome.code, 1);
    EXPECT_THAT(outcome.text, HasSubstr("was begun with other images"));
}

TEST_F(StoppedTraining, GoesOnWithTheSameOptionsAndMoreSteps)
{
    const std::string out = "options.agp";
    const Arguments begun = {"--preset", "fast", "--no-image-noise", "--precision", "fp32"};
    Process first(train(out, 2000, begun));
    first.waitFor("step 1/");
    first.send(SIGINT);
    ASSERT_EQ(first.finish().code, 130);
    const std::string state = test::readBytes(folder->path() / (out + ".state"));
    const std::string other = test::writeTinyBackbone(*folder, 2);

    const struct
    {
        Arguments options;
        std::vector<std::string> named;
    } changes[] = {
        {{"--lr", "0.5"}, {"'learning_rate' is 0.5, was 0.002"}},
        {{"--seed", "9", "--size", "16x24"}, {"'seed' is 9, was 0", "'height' is 16, was 32"}},
        {{"--steps", "5"}, {"'steps' is 5, was 2000"}},
        {{"--augment", "rotate90", "--noise", "none"}, {"'augment' is [\"rotate90\"], was []", "'noise' is \"none\", was \"guided\""}},
        {{"--tile", "64", "--false-alarms", "0.2"}, {"'tile' is 64, was 0", "'false_alarms' is 0.2, was 0.01"}},
        {{"--backbone", other}, {"the backbone is tiny2, was tiny1"}}};
    for (const auto& [options, named] : changes)
    {
        SCOPED_TRACE(options[0]);
        Arguments arguments = {"train", "--data", (folder->path() / "nuts").string(), "--out", (folder->path() / out).string(), "--resume"};
        arguments.insert(arguments.end(), options.begin(), options.end());
        const Outcome outcome = Process(arguments).finish();
        EXPECT_EQ(outcome.code, 1);
        EXPECT_THAT(outcome.text, HasSubstr("was begun with other options"));
        for (const std::string& part : named)
            EXPECT_THAT(outcome.text, HasSubstr(part));
        EXPECT_EQ(std::count(outcome.text.begin(), outcome.text.end(), ';'), static_cast<ptrdiff_t>(named.size())) << outcome.text;
    }
    EXPECT_EQ(test::readBytes(folder->path() / (out + ".state")), state);

    Arguments more = train(out, 2010, begun);
    more.insert(more.end(), {"--resume", "--json"});
    const Outcome outcome = Process(more).finish();
    ASSERT_EQ(outcome.code, 0) << outcome.text;
    EXPECT_EQ(json::parse(outcome.text).at("steps"), 2010);
    EXPECT_EQ(headerOf(out)["config"]["steps"], 2010);
}

/// Two processes that train together, as a launcher would start them.
class TrainingTogether : public TinyModel
{
protected:
    static int freePort()
    {
        const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof address;
        ::bind(listener, reinterpret_cast<const sockaddr*>(&address), length);
        ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length);
        ::close(listener);
        return ntohs(address.sin_port);
    }

    static std::map<std::string, std::string> launched(int rank, int port)
    {
        return {{"RANK", std::to_string(rank)}, {"WORLD_SIZE", "2"}, {"LOCAL_WORLD_SIZE", "2"}, {"MASTER_PORT", std::to_string(port)}};
    }

    /// [0]: of process 0
    static std::array<Outcome, 2> together(const Arguments& arguments)
    {
        const int port = freePort();
        Process first(arguments, 0, launched(0, port)), second(arguments, 0, launched(1, port));
        return {first.finish(), second.finish()};
    }

    static void expectAlike(const std::string& a, const std::string& b)
    {
        const TensorFile left = readSafetensors(folder->path() / a), right = readSafetensors(folder->path() / b);
        ASSERT_EQ(left.tensors.size(), right.tensors.size());
        for (const auto& [name, tensor] : left.tensors)
            EXPECT_TRUE(tensor.allclose(right.tensors.at(name), 1e-3, 1e-4))
                << name << " " << (tensor - right.tensors.at(name)).abs().max().item<double>();
    }
};

TEST_F(TrainingTogether, GivesTheModelOfOneProcess)
{
    // whatever looks at a batch as a whole: the mean strength of uniform noise, the quantile of the hard loss, drawn image noise
    const char* const configs[] = {R"("precision":"fp32")", R"("precision":"fp32","noise":"uniform","image_noise":true,"loss":"hard")",
                                   R"("precision":"fp32","image_noise":true,"augment":["flip_horizontal"],"early_stop":true)"};
    int number = 0;
    for (const char* const config : configs)
    {
        const std::string one = fmt::format("one{}.agp", number), two = fmt::format("two{}.agp", number);
        number++;
        Arguments arguments = train(one, 50, {"--json"});
        *(std::find(arguments.begin(), arguments.end(), "--config") + 1) = test::tinyConfig(50, config);
        const Outcome alone = Process(arguments).finish();
        ASSERT_EQ(alone.code, 0) << alone.text;
        arguments[4] = (folder->path() / two).string();
        const auto [first, second] = together(arguments);
        ASSERT_EQ(first.code, 0) << first.text;
        ASSERT_EQ(second.code, 0) << second.text;
        EXPECT_EQ(second.text, "") << "one speaks for all";
        EXPECT_NEAR(json::parse(first.text)["loss"], json::parse(alone.text)["loss"].get<double>(), 1e-4);
        EXPECT_NEAR(json::parse(first.text)["threshold"], json::parse(alone.text)["threshold"].get<double>(), 1e-3);
        expectAlike(one, two);
        EXPECT_EQ(headerOf(two)["training"]["processes"], 2);
        EXPECT_EQ(headerOf(two)["training"]["images_seen"], headerOf(one)["training"]["images_seen"]);
    }
}

TEST_F(TrainingTogether, EndsTogetherWhenOneIsKilledAndGoesOnFromThere)
{
    const Arguments arguments = train("lost.agp", 3000, {"--checkpoint", "0"});
    for (const int victim : {1, 0})
    {
        const int port = freePort();
        Process first(arguments, 0, launched(0, port)), second(arguments, 0, launched(1, port));
        first.waitFor("step 1/");
        (victim == 0 ? first : second).send(SIGKILL);
        const Outcome outcome = (victim == 0 ? second : first).finish();
        EXPECT_EQ(outcome.code, 1) << outcome.text;
        EXPECT_THAT(outcome.text, HasSubstr("another process of the training has gone away"));
        if (victim == 1)
        {
            EXPECT_THAT(outcome.text, HasSubstr("--resume goes on"));
        }
        ASSERT_TRUE(exists("lost.agp.state"));
    }
    const Arguments resumed = train("lost.agp", 3000, {"--resume"});
    const int port = freePort();
    Process first(resumed, 0, launched(0, port)), second(resumed, 0, launched(1, port));
    first.waitFor("step ");
    first.send(SIGINT); // to one of them
    EXPECT_EQ(first.finish().code, 130);
    EXPECT_EQ(second.finish().code, 130);
    expectNoParts();
}

TEST_F(TrainingTogether, SaysWhatIsWrong)
{
    Arguments arguments = train("none.agp", 4);
    for (const auto& [variables, part] : std::initializer_list<std::pair<std::map<std::string, std::string>, const char*>>{
             {{{"RANK", "0"}, {"WORLD_SIZE", "two"}}, "WORLD_SIZE is 'two', expected a number"},
             {{{"RANK", "2"}, {"WORLD_SIZE", "2"}}, "RANK is '2', expected a number from 0 to 1"},
             {{{"RANK", "0"}, {"WORLD_SIZE", "2"}}, "MASTER_ADDR is not set"}})
    {
        const Outcome outcome = Process(arguments, 0, variables).finish();
        EXPECT_EQ(outcome.code, 1) << outcome.text;
        EXPECT_THAT(outcome.text, HasSubstr(part));
    }
    arguments.insert(arguments.end(), {"--batch", "3"});
    const auto [first, second] = together(arguments);
    EXPECT_THAT(first.text, HasSubstr("'batch' is 3, expected a multiple of the 2 processes"));
    EXPECT_FALSE(exists("none.agp"));
    const Outcome alone = Process(train("none.agp", 4), 0, {{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "4"}}).finish();
    EXPECT_EQ(alone.code, 0) << "a batch script of Slurm: " << alone.text;
}

TEST_F(TinyModel, LearnsSeveralProducts)
{
    const std::string nuts = (folder->path() / "nuts").string(), bolts = (folder->path() / "bolts").string();
    const Outcome trained = Process(train("two.agp", 4, {"--data", "screws=" + bolts})).finish();
    ASSERT_EQ(trained.code, 0) << trained.text;
    const json header = headerOf("two.agp");
    ASSERT_EQ(header["scores"]["classes"].size(), 2u);
    EXPECT_EQ(header["scores"]["classes"][0]["name"], "nuts") << "the folder's name";
    EXPECT_EQ(header["scores"]["classes"][1]["name"], "screws");
    EXPECT_EQ(header["training"]["data"][1]["path"], fs::weakly_canonical(bolts).string());
    const auto threshold = [&](const Arguments& more) {
        Arguments arguments = {"detect", "--json", (folder->path() / "two.agp").string(), nuts + "/1.png"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        const Outcome found = Process(arguments).finish();
        EXPECT_EQ(found.code, 0) << found.text;
        return firstLine(found.text).at("threshold").get<double>();
    };
    EXPECT_EQ(threshold({}), header["scores"]["classes"][0]["threshold"].get<double>()) << "the product that the picture is like";
    EXPECT_EQ(threshold({"--product", "screws"}), header["scores"]["classes"][1]["threshold"].get<double>());
    const Outcome unknown = Process({"detect", (folder->path() / "two.agp").string(), nuts, "--product", "nails"}).finish();
    EXPECT_EQ(unknown.code, 1);
    EXPECT_THAT(unknown.text, HasSubstr("product is 'nails', expected one of nuts, screws"));
    // a class is judged by the thresholds of the product it is named after
    const fs::path line = folder->path() / "line";
    for (const char* kind : {"good", "bent"})
    {
        fs::create_directories(line / kind);
        fs::copy_file(fs::path(bolts) / "1.png", line / kind / "1.png", fs::copy_options::skip_existing);
    }
    const auto evaluated = [&](const std::string& data)
    {
        const Outcome found =
            Process({"evaluate", (folder->path() / "two.agp").string(), "--data", data, "--bootstrap", "0", "--json"}).finish();
        EXPECT_EQ(found.code, 0) << found.text;
        return json::parse(found.text);
    };
    const json named = evaluated("screws=" + line.string());
    EXPECT_EQ(named.at("product"), "screws");
    EXPECT_EQ(named.at("name"), "screws");
    EXPECT_EQ(named.at("threshold"), header["scores"]["classes"][1]["threshold"]);
    const json unnamed = evaluated(line.string());
    EXPECT_TRUE(unnamed.at("product").is_null());
    EXPECT_TRUE(unnamed.at("threshold").is_null());
    EXPECT_THAT(unnamed.at("warnings").dump(), HasSubstr("the model knows no product 'line', only nuts, screws"));

    const Outcome twice = Process(train("x.agp", 4, {"--data", nuts})).finish();
    EXPECT_EQ(twice.code, 1);
    EXPECT_THAT(twice.text, HasSubstr("two products are called 'nuts'"));
}

TEST_F(TinyModel, AFullDiskBehindStandardOutputIsAnError)
{
    const std::string model = (folder->path() / "printed.agp").string(), nuts = (folder->path() / "nuts").string();
    ASSERT_EQ(Process(train("printed.agp", 4)).finish().code, 0);
    fs::create_directories(folder->path() / "labelled");
    fs::copy(nuts, folder->path() / "labelled/good");
    fs::copy(nuts, folder->path() / "labelled/bad");
    for (const std::string& command : Arguments{
             "detect " + model + " " + nuts, "detect --json " + model + " " + nuts, "detect --exit-code --json " + model + " " + nuts,
             "evaluate --json " + model + " --data " + (folder->path() / "labelled").string(), "info", "info --json", "info " + model,
             "info --verify " + model, "operators", "operators --json", "operators --config",
             "calibrate --json " + model + " --data " + nuts, "export " + model + " --onnx-graph " + (folder->path() / "g.onnx").string(),
             "demo-data " + (folder->path() / "demo").string() + " --product tile --train 1 --test-good 0 --test-defective 0",
             "tune --list", "--version", "--help", "detect --help"})
    {
        const Outcome full = run(std::string("{ ") + AGPNET_PROGRAM + " " + command + " > /dev/full; }");
        EXPECT_EQ(full.code, 1) << command << full.text;
        EXPECT_THAT(full.text, HasSubstr("agpnet: standard output: cannot be written: ")) << command;
    }
}

TEST_F(TinyModel, NamesThatAreNotUtf8ComeWithTheirBytes)
{
    const fs::path data = folder->path() / "names\xff";
    for (const char* name : {"good/caf\xe9.png", "bad/1.png"})
    {
        fs::create_directories((data / name).parent_path());
        fs::copy_file(folder->path() / "nuts/0.png", data / name);
    }
    Arguments arguments = train("names.agp", 2, {"--json"});
    arguments[2] = data.string();
    const Outcome trained = Process(arguments).finish();
    ASSERT_EQ(trained.code, 0) << trained.text;
    const auto hex = [](const std::string& text) {
        std::string bytes;
        for (const char c : text)
            bytes += fmt::format("{:02x}", static_cast<unsigned char>(c));
        return bytes;
    };
    EXPECT_EQ(headerOf("names.agp")["training"]["data"]["path_bytes"], hex(fs::canonical(data).string()));
    const std::string model = (folder->path() / "names.agp").string(), picture = (data / "good/caf\xe9.png").string();
    const json found = firstLine(run(AGPNET_PROGRAM " detect --json " + shellQuoted(model) + " " + shellQuoted(picture)).text);
    EXPECT_EQ(found.at("image_bytes"), hex(picture));
    EXPECT_THAT(found.at("image").get<std::string>(), ::testing::EndsWith("caf\xef\xbf\xbd.png"));
    const json plain =
        firstLine(run(AGPNET_PROGRAM " detect --json " + shellQuoted(model) + " " + shellQuoted(folder->path() / "nuts/0.png")).text);
    EXPECT_FALSE(plain.contains("image_bytes"));
    const fs::path skipped = data / "bad/n\xf6te.txt";
    std::ofstream(skipped) << "no picture";
    const Outcome evaluated = run(AGPNET_PROGRAM " evaluate --json " + shellQuoted(model) + " --data " + shellQuoted(data));
    ASSERT_EQ(evaluated.code, 0) << evaluated.text;
    const json figures = json::parse(evaluated.text);
    EXPECT_EQ(figures.at("data").at("path_bytes"), hex(data.string()));
    const std::vector<std::string> names = figures.at("files").at("skipped_names_bytes");
    EXPECT_THAT(names, ::testing::ElementsAre(::testing::EndsWith(hex("n\xf6te.txt"))));
    EXPECT_FALSE(figures.at("files").contains("unread_names_bytes"));
}

TEST_F(TinyModel, ARemovedWorkingDirectoryIsASentence)
{
    for (const char* command : {"--version", "info", "operators"})
    {
        const Outcome outcome = run("mkdir -p " + shellQuoted(*folder / "gone") + " && cd " + shellQuoted(*folder / "gone") + " && rmdir " +
                                    shellQuoted(*folder / "gone") + " && exec " AGPNET_PROGRAM " " + command);
        EXPECT_EQ(outcome.code, 1) << outcome.text;
        EXPECT_EQ(outcome.text, "agpnet: the working directory has been removed; expected to be started in one that is there\n");
    }
}

TEST_F(TinyModel, RefusesNumbersThatAreNoneInAFewWords)
{
    const Arguments begin = train("numbers.agp", 4);
    const std::string nuts = (folder->path() / "nuts").string();
    const std::pair<Arguments, const char*> refused[] = {
        {{"--lr", "nan"}, "'nan', expected a number"},
        {{"--lr", "0"}, "'0', expected a number above 0"},
        {{"--lr", "inf"}, "'inf', expected a number above 0"},
        {{"--false-alarms", "nan"}, "'nan', expected a number"},
        {{"--checkpoint", "nan"}, "'nan', expected a number of at least 0"},
        {{"--tile-overlap", "-nan"}, "'-nan', expected a number"},
        {{"--steps", "0"}, "'0', expected a number above 0"},
        {{"--steps", "1e999"}, "expected a number above 0"},
        {{"--seed", "18446744073709551616"}, "expected a whole number from 0 to 18446744073709551615"},
        {{"--seed", "-1"}, "'-1', expected a whole number from 0"},
        {{"--seed", "1.5"}, "'1.5', expected a whole number from 0"}};
    for (const auto& [more, part] : refused)
    {
        Arguments arguments = begin;
        arguments.insert(arguments.end(), more.begin(), more.end());
        const Outcome outcome = Process(arguments).finish();
        EXPECT_EQ(outcome.code, 2) << more[0] << more[1];
        EXPECT_THAT(outcome.text, HasSubstr(part));
        EXPECT_LT(outcome.text.size(), 250u) << outcome.text;
    }
    EXPECT_EQ(Process({"evaluate", "x.agp", "--data", nuts, "--threshold", "nan"}).finish().code, 2);
    EXPECT_EQ(Process({"calibrate", "x.agp", "--data", nuts, "--cost", "nan"}).finish().code, 2);
    EXPECT_FALSE(exists("numbers.agp"));
    const Outcome trained = Process(train("seed.agp", 1, {"--seed", "18446744073709551615"})).finish();
    ASSERT_EQ(trained.code, 0) << trained.text;
    EXPECT_EQ(headerOf("seed.agp")["config"]["seed"], 18446744073709551615u);
}

TEST_F(TinyModel, WhatCannotBeWrittenIsFoundBeforeTheWork)
{
    ASSERT_EQ(Process(train("early.agp", 1)).finish().code, 0);
    const auto at = [&](const std::string& name) { return (folder->path() / name).string(); };
    ASSERT_EQ(::mkfifo(at("pipe").c_str(), 0600), 0);
    fs::create_symlink("round", folder->path() / "round");
    fs::create_directories(folder->path() / "early");
    fs::copy(folder->path() / "nuts", folder->path() / "early/good");
    const std::string model = at("early.agp");
    Arguments toPipe = train("pipe", 1);
    for (const auto& [arguments, sentence] :
         {std::pair<Arguments, std::string>{toPipe, "pipe: is a device, a pipe or a socket, expected the name of a file to write"},
          {train("none/a.agp", 1), "none does not exist"},
          {{"evaluate", model, "--data", at("early"), "--out", at("none/f.json")}, "none does not exist"},
          {{"evaluate", model, "--data", at("early"), "--out", at("nuts")}, "nuts: is a folder, expected the name of a file to write"},
          {{"calibrate", model, "--data", at("nuts"), "--out", at("none/c.agp")}, "none does not exist"},
          {{"detect", model, at("nuts"), "--out", at("round/out")}, "round/out: the folder for results cannot be made: Too many levels"},
          {train("x.agp", 1, {"--size", "99999999999"}), "--size is '99999999999', expected HEIGHTxWIDTH"},
          {{"export", model, "--onnx-graph", at("g.onnx"), "--size", "32x24mm"}, "--size is '32x24mm', expected HEIGHTxWIDTH"}})
    {
        const Outcome outcome = Process(arguments).finish();
        EXPECT_EQ(outcome.code, 1) << outcome.text;
        EXPECT_THAT(outcome.text,
                    AllOf(HasSubstr(sentence), Not(HasSubstr("step 1/")), Not(HasSubstr("image ")), Not(HasSubstr("filesystem error"))));
    }
    Arguments lost = train("x.agp", 1);
    lost[2] = at("round/data");
    EXPECT_THAT(Process(lost).finish().text,
                AllOf(HasSubstr("round/data: "), HasSubstr("Too many levels of symbolic links"), Not(HasSubstr("filesystem error"))));
    EXPECT_FALSE(exists("pipe.state"));
    expectNoParts();
}

TEST_F(TinyModel, AnInterruptedReportLeavesNoPart)
{
    ASSERT_EQ(Process(train("stopped.agp", 2)).finish().code, 0);
    for (int i = 0; i < 400; i++)
        for (const char* kind : {"good", "bad"})
        {
            fs::create_directories(folder->path() / "many" / kind);
            fs::copy_file(folder->path() / "nuts/0.png", folder->path() / "many" / kind / (std::to_string(i) + ".png"));
        }
    const std::string model = (folder->path() / "stopped.agp").string(), page = (folder->path() / "page.html").string(),
                      many = (folder->path() / "many").string();
    for (const Arguments& arguments :
         {Arguments{"detect", model, many + "/good", "--out", (folder->path() / "results").string(), "--report", page},
          {"evaluate", model, "--data", many, "--batch", "1", "--report", page}})
    {
        Process running(arguments);
        running.waitFor("image ");
        running.send(SIGINT);
        const Outcome outcome = running.finish();
        EXPECT_EQ(outcome.code, 130) << outcome.text;
        EXPECT_THAT(outcome.text, HasSubstr("agpnet: interrupted"));
        EXPECT_FALSE(exists("page.html"));
        expectNoParts();
    }
}

TEST_F(TinyModel, SaysWhatItsThresholdsRestOn)
{
    const char *trained = "are taken from the images that were trained on", *noRate = "no rate of false positives can be stated",
               *itself = "the threshold is the score of";
    const struct
    {
        const char* name;
        int images, different;
        std::vector<const char*> notes;
    } sets[] = {{"one", 1, 1, {trained, noRate, itself}},
                {"two", 2, 2, {trained, noRate}},
                {"copies", 30, 1, {noRate, itself}},
                {"two-dozen", 24, 24, {noRate}},
                {"enough", 80, 80, {}}};
    for (const auto& [name, images, different, notes] : sets)
    {
        SCOPED_TRACE(name);
        const fs::path data = folder->path() / "counts" / name, model = folder->path() / (std::string(name) + ".agp");
        fs::create_directories(data);
        for (int i = 0; i < images; i++)
        {
            cv::Mat image(40, 48, CV_8UC3);
            cv::RNG(static_cast<uint64_t>(i % different) + 50).fill(image, cv::RNG::UNIFORM, 0, 256);
            cv::imwrite((data / (std::to_string(i) + ".png")).string(), image);
        }
        Arguments arguments = train(model.filename(), 2);
        arguments[2] = data.string();
        const Outcome text = Process(arguments).finish();
        ASSERT_EQ(text.code, 0) << text.text;
        arguments.emplace_back("--json");
        const json told = json::parse(Process(arguments).finish().text).at("notes");
        const json info = json::parse(Process({"info", "--json", model.string()}).finish().text).at("notes");
        const Outcome read = Process({"info", model.string()}).finish();
        EXPECT_EQ(told.size(), notes.size()) << told;
        EXPECT_EQ(told, info);
        for (const char* note : {trained, noRate, itself})
        {
            const bool expected = std::find(notes.begin(), notes.end(), note) != notes.end();
            for (const std::string& said : {told.dump(), text.text, read.text})
                EXPECT_EQ(said.find(note) != std::string::npos, expected) << note << "\n" << said;
        }
    }
}

TEST_F(TinyModel, InfoPrintsEveryCompiledPipeline)
{
    const Outcome info = Process({"info"}).finish();
    ASSERT_EQ(info.code, 0) << info.text;
    for (const char* word : {"prepare", "perturb", "residual", "heatmap", "uint16", "scaled", "baseline", "cuda"})
        EXPECT_THAT(info.text, HasSubstr(word));
}

TEST_F(TinyModel, StopsEarlyAndSaysWhereTheTimeWent)
{
    const Outcome trained = Process(train("early.agp", 3000, {"--early-stop", "--profile"})).finish();
    ASSERT_EQ(trained.code, 0) << trained.text;
    EXPECT_THAT(trained.text, HasSubstr("images/s"));
    EXPECT_THAT(trained.text, HasSubstr("decoder, forward and backward"));
    const json header = headerOf("early.agp");
    const int seen = header["training"]["early_stop"]["seen_at"];
    EXPECT_LT(header["training"]["steps"].get<int>(), 3000);
    EXPECT_THAT(trained.text, HasSubstr(fmt::format("stopped improving after step {}", seen)));
}

TEST_F(TinyModel, TakesNewThresholdsAndWatchesItsInput)
{
    // 24 pictures to train on, 12 others of the same kind, 12 that are darker, and a labelled set
    const auto draw = [&](const std::string& name, uint64_t seed, double most, bool defect = false) {
        cv::Mat image(40, 48, CV_8UC3);
        cv::RNG(seed).fill(image, cv::RNG::UNIFORM, 0, most);
        if (defect)
            image(cv::Rect(16, 12, 16, 16)).setTo(cv::Scalar::all(255));
        cv::imwrite(*folder / name, image);
    };
    for (int i = 0; i < 24; i++)
        draw(fmt::format("caps/{}.png", i), 100 + static_cast<uint64_t>(i), 200);
    for (int i = 0; i < 12; i++)
    {
        draw(fmt::format("more/{}.png", i), 200 + static_cast<uint64_t>(i), 200);
        draw(fmt::format("dark/{}.png", i), 300 + static_cast<uint64_t>(i), 60);
        draw(fmt::format("shift/good/{}.png", i), 400 + static_cast<uint64_t>(i), 200);
        draw(fmt::format("shift/dent/{}.png", i), 500 + static_cast<uint64_t>(i), 200, true);
        cv::Mat mask = cv::Mat::zeros(40, 48, CV_8U);
        mask(cv::Rect(16, 12, 16, 16)) = 255;
        cv::imwrite(*folder / fmt::format("shift/ground_truth/dent/{}.png", i), mask);
    }
    const auto at = [&](const std::string& name) { return (folder->path() / name).string(); };
    const std::string caps = at("caps.agp");
    Arguments arguments = train("caps.agp", 60, {"--false-alarms", "0.05"});
    arguments[2] = at("caps");
    ASSERT_EQ(Process(arguments).finish().code, 0);
    EXPECT_EQ(headerOf("caps.agp")["config"]["false_alarms"], 0.05);

    // two pictures were held back: too few to know a range, or to state a rate
    const Outcome unknown = Process({"detect", caps, at("more"), "--watch-stats"}).finish();
    EXPECT_EQ(unknown.code, 1);
    EXPECT_THAT(unknown.text, HasSubstr("does not know the range of its training's features"));
    const Outcome few = Process({"calibrate", caps, "--data", at("caps"), "--out", at("few.agp")}).finish();
    ASSERT_EQ(few.code, 0) << few.text;
    EXPECT_THAT(few.text, HasSubstr("no false-positive rate can be stated from so few scores; 2 held-out images"));
    const double threshold = headerOf("caps.agp")["scores"]["threshold"];
    EXPECT_NEAR(headerOf("few.agp")["scores"]["threshold"].get<double>(), threshold, 0.02 * threshold)
        << "of those that the training held back";

    const Outcome done = Process({"calibrate", caps, "--data", at("more"), "--false-alarms", "0.02"}).finish();
    ASSERT_EQ(done.code, 0) << done.text;
    EXPECT_THAT(done.text, HasSubstr("tail, 2 % false positives expected; 12 held-out images"));
    const json header = headerOf("caps.agp");
    EXPECT_EQ(header["scores"]["threshold_rule"]["method"], "tail");
    EXPECT_EQ(header["drift"].size(), 1u);

    const Outcome good = Process({"detect", caps, at("caps"), "--watch-stats", "--exit-code", "--sensitivity", "0.01"}).finish();
    EXPECT_EQ(good.code, 0) << good.text;
    EXPECT_THAT(good.text, HasSubstr("of 24 images outside the range of training; no drift"));
    const Outcome dark = Process({"detect", caps, at("dark"), "--watch-stats", "--exit-code", "--sensitivity", "0.01"}).finish();
    EXPECT_EQ(dark.code, 4) << dark.text;
    EXPECT_THAT(dark.text, HasSubstr("100 % of the last 4 images are outside the range of training"));
    EXPECT_THAT(dark.text, HasSubstr("12 of 12 images outside the range of training; drift was found"));
    const Outcome silent = Process({"detect", caps, at("dark"), "--json"}).finish();
    EXPECT_EQ(silent.text.find("of the last"), std::string::npos) << "nobody asked";

    // labelled
    const Outcome labelled =
        Process({"calibrate", caps, "--data", at("shift"), "--labelled", "--out", at("labelled.agp"), "--json"}).finish();
    ASSERT_EQ(labelled.code, 0) << labelled.text;
    EXPECT_THAT(labelled.text, HasSubstr("metrics will be too good")) << "it holds no other good pictures";
    const json written = json::parse(labelled.text.substr(labelled.text.find("\n{") + 1)), scores = written.at("scores");
    EXPECT_EQ(scores["threshold_rule"]["method"], "f1");
    EXPECT_EQ(scores["threshold_rule"]["anomalous"], 12);
    EXPECT_EQ(scores["pixel_threshold_rule"]["method"], "f1");
    EXPECT_EQ(written.at("before"), header["scores"]);

    // thresholds of the command line, calibrated scores and regions
    const auto detected = [&](const Arguments& more) {
        Arguments all = {"detect", at("labelled.agp"), at("shift/dent/0.png"), "--json"};
        all.insert(all.end(), more.begin(), more.end());
        const Outcome found = Process(all).finish();
        EXPECT_EQ(found.code, 0) << found.text;
        return firstLine(found.text);
    };
    const json found = detected({});
    EXPECT_EQ(found.at("anomalous"), found.at("calibrated") > 0.5);
    ASSERT_FALSE(found.at("regions").empty());
    EXPECT_GE(found["regions"][0]["contour"].size(), 3u);
    EXPECT_TRUE(found.at("drift").is_number());
    EXPECT_FALSE(found.contains("drifting"));
    EXPECT_EQ(detected({"--threshold", "0.125", "--sensitivity", "2"}).at("threshold"), 0.0625);
    EXPECT_TRUE(detected({"--min-area", "1921"}).at("regions").empty()) << "more than the picture has";
    EXPECT_TRUE(detected({"--pixel-threshold", "100"}).at("regions").empty());
    EXPECT_TRUE(detected({"--watch-stats"}).at("drifting").is_boolean());
    const Outcome evaluated = Process({"evaluate", at("labelled.agp"), "--data", at("shift"), "--bootstrap", "0", "--json", "--threshold",
                                       "0.5", "--sensitivity", "4"})
                                  .finish();
    ASSERT_EQ(evaluated.code, 0) << evaluated.text;
    EXPECT_EQ(json::parse(evaluated.text).at("threshold"), 0.125);

    for (const auto& [more, part] : {std::pair<Arguments, const char*>{{"--rule", "f1"}, "--labelled is missing"},
                                     {{"--rule", "tail", "--labelled"}, "leave --labelled out"},
                                     {{"--false-alarms", "2"}, "--false-alarms"},
                                     {{"--out", at("no/such.agp")}, "no does not exist"}})
    {
        Arguments all = {"calibrate", caps, "--data", at("more")};
        all.insert(all.end(), more.begin(), more.end());
        const Outcome refused = Process(all).finish();
        EXPECT_NE(refused.code, 0) << part;
        EXPECT_THAT(refused.text, HasSubstr(part));
    }
    EXPECT_EQ(headerOf("caps.agp"), header) << "nothing was written";
    expectNoParts();
}

TEST_F(TinyModel, LearnsFromFewPictures)
{
    const Outcome trained = Process(train("few.agp", 4, {"--shots", "2", "--seed", "3"})).finish();
    ASSERT_EQ(trained.code, 0) << trained.text;
    const json header = headerOf("few.agp");
    EXPECT_EQ(header["scores"]["from"], "augmented");
    EXPECT_EQ(header["config"]["shots"], 2);
    EXPECT_EQ(header["config"]["augment"], json::array({"few-shot"}));
    ASSERT_EQ(header["training"]["shots"].size(), 2u);
    for (const json& name : header["training"]["shots"])
        EXPECT_TRUE(fs::exists(folder->path() / "nuts" / name.get<std::string>())) << name;
    const Outcome tooMany = Process(train("x.agp", 4, {"--shots", "7"})).finish();
    EXPECT_EQ(tooMany.code, 1);
    EXPECT_THAT(tooMany.text, HasSubstr("'shots' is 7, but there are 6 images"));
}

TEST_F(TinyModel, LooksWhereItIsTold)
{
    cv::Mat mask = cv::Mat::zeros(40, 48, CV_8U);
    mask(cv::Rect(0, 0, 24, 40)) = 255;
    cv::imwrite(*folder / "mask.png", mask);
    const std::string image = (folder->path() / "nuts/1.png").string(), out = (folder->path() / "out").string();
    ASSERT_EQ(Process(train("region.agp", 4, {"--roi", (folder->path() / "mask.png").string()})).finish().code, 0);
    EXPECT_EQ(headerOf("region.agp")["config"]["roi"].size(), 1u);
    for (const Arguments& more : {Arguments{},
                                  {"--roi", (folder->path() / "mask.png").string()},
                                  {"--roi", "0,0 0.5,0 0.5,1 0,1"},
                                  {"--roi", "0,0 24,0 24,40 0,40"}})
    {
        Arguments arguments = {"detect", (folder->path() / "region.agp").string(), image, "--out", out, "--maps"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        const Outcome found = Process(arguments).finish();
        ASSERT_EQ(found.code, 0) << found.text;
        const cv::Mat map = cv::imread(out + "/1_map.tiff", cv::IMREAD_UNCHANGED);
        EXPECT_GT(cv::countNonZero(map.colRange(0, 23)), 0);
        EXPECT_EQ(cv::countNonZero(map.colRange(25, 48)), 0);
    }
    for (const auto& [text, part] : {std::pair<const char*, const char*>{"none.png", "expected the name of a mask image"},
                                     {"1,2 3,4", "2 points, expected at least 3"},
                                     {"0,0 400,0 9,9", "the point 400,0, expected it inside the image of 48x40"}})
    {
        const Outcome refused = Process({"detect", (folder->path() / "region.agp").string(), image, "--roi", text}).finish();
        EXPECT_EQ(refused.code, 1);
        EXPECT_THAT(refused.text, HasSubstr(part));
    }
}

TEST_F(TinyModel, ARegionMayBeAThinLine)
{
    cv::Mat across = cv::Mat::zeros(40, 48, CV_8U), down = across.clone(), speck = across.clone();
    across.row(17) = 255;
    down.col(31) = 255;
    speck.at<uchar>(5, 7) = 255;
    const std::string image = (folder->path() / "nuts/1.png").string(), out = (folder->path() / "out").string();
    ASSERT_EQ(Process(train("line.agp", 4)).finish().code, 0);
    for (const auto& [name, mask] : {std::pair{"across.png", across}, {"down.png", down}, {"speck.png", speck}})
    {
        cv::imwrite(*folder / name, mask);
        const Outcome found = Process({"detect", (folder->path() / "line.agp").string(), image, "--out", out, "--maps", "--roi",
                                       (folder->path() / name).string()})
                                  .finish();
        ASSERT_EQ(found.code, 0) << found.text;
        const cv::Mat map = cv::imread(out + "/1_map.tiff", cv::IMREAD_UNCHANGED);
        EXPECT_EQ(cv::countNonZero((map > 0) != mask), 0) << name;
    }
}

TEST_F(TinyModel, ADashIsStandardInput)
{
    ASSERT_EQ(Process(train("dash.agp", 4)).finish().code, 0);
    const std::string model = shellQuoted((folder->path() / "dash.agp").string()),
                      image = shellQuoted((folder->path() / "nuts/1.png").string());
    const json file = firstLine(run(std::string(AGPNET_PROGRAM) + " detect " + model + " " + image + " --json").text);
    const json piped = firstLine(run("cat " + image + " | " AGPNET_PROGRAM " detect " + model + " - --json").text);
    EXPECT_EQ(piped.at("score"), file.at("score"));
    EXPECT_EQ(piped.at("image"), "-");
    const Outcome empty = run(AGPNET_PROGRAM " detect " + model + " - < /dev/null");
    EXPECT_EQ(empty.code, 1);
    EXPECT_THAT(empty.text, HasSubstr("standard input is empty, an image was expected"));
}

TEST_F(TinyModel, FilesAreCountedAtTheEnd)
{
    const fs::path data = folder->path() / "counted";
    fs::create_directories(data);
    for (const char* kind : {"good", "bad"})
        fs::copy(folder->path() / "nuts", data / kind);
    for (const char* name : {"good/notes.txt", "good/old.gif", "bad/list.csv"})
        std::ofstream(data / name) << "text";
    const std::string model = (folder->path() / "counted.agp").string();
    const auto names = [&](const Arguments& list)
    {
        json paths = json::array();
        for (const std::string& name : list)
            paths.push_back((data / name).string());
        return paths;
    };
    const auto quiet = [](const std::string& command) { return run("{ " AGPNET_PROGRAM " " + command + " 2>/dev/null; }").text; };
    const auto asText = [](const Arguments& arguments)
    {
        std::string text;
        for (const std::string& argument : arguments)
            text += fmt::format(" {}", shellQuoted(argument));
        return text;
    };
    const json trainedOn = {{"used", 6},
                            {"skipped", 2},
                            {"skipped_names", names({"good/notes.txt", "good/old.gif"})},
                            {"unread", 0},
                            {"unread_names", json::array()}};

    Arguments training = train("counted.agp", 4);
    training[2] = data.string();
    const Outcome told = Process(training).finish();
    ASSERT_EQ(told.code, 0) << told.text;
    EXPECT_THAT(told.text, ::testing::EndsWith("6 images used, 2 files skipped (notes.txt, old.gif), 0 could not be read\n")) << told.text;
    EXPECT_EQ(headerOf("counted.agp")["training"]["files"], trainedOn);
    training.push_back("--json");
    EXPECT_EQ(json::parse(quiet(asText(training))).at("files"), trainedOn);
    EXPECT_EQ(json::parse(quiet(asText(train("few.agp", 4, {"--shots", "2", "--json"})))).at("files").at("used"), 2);

    const std::string evaluate = AGPNET_PROGRAM " evaluate " + shellQuoted(model) + " --data " + shellQuoted(data);
    EXPECT_THAT(run(evaluate).text,
                ::testing::EndsWith("12 images used, 3 files skipped (list.csv, notes.txt, old.gif), 0 could not be read\n"));
    json measured = trainedOn;
    measured["used"] = 12;
    measured["skipped"] = 3;
    measured["skipped_names"] = names({"bad/list.csv", "good/notes.txt", "good/old.gif"});
    const fs::path out = folder->path() / "counted.json";
    EXPECT_EQ(json::parse(run(evaluate + " --json --out " + shellQuoted(out)).text).at("files"), measured);
    EXPECT_EQ(json::parse(test::readBytes(out)).at("files"), measured);
    const json share = json::parse(run(evaluate + " --json --share 1/3 --save-maps " + shellQuoted(folder->path() / "counted_maps")).text);
    EXPECT_EQ(share.at("files").at("used"), 4);

    std::ofstream(data / "good/broken.png") << "half";
    const Outcome found = run(AGPNET_PROGRAM " detect " + shellQuoted(model) + " " + shellQuoted(data / "good"));
    EXPECT_EQ(found.code, 1);
    EXPECT_THAT(found.text, HasSubstr("6 images used, 2 files skipped (notes.txt, old.gif), 1 could not be read (broken.png)\n"));
    std::istringstream lines(quiet("detect --json " + shellQuoted(model) + " " + shellQuoted(data / "good")));
    std::vector<json> objects;
    for (std::string line; std::getline(lines, line);)
        objects.push_back(json::parse(line));
    ASSERT_EQ(objects.size(), 7u);
    json inspected = trainedOn;
    inspected["unread"] = 1;
    inspected["unread_names"] = names({"good/broken.png"});
    EXPECT_EQ(objects.back(), json({{"files", inspected}}));
    EXPECT_EQ(std::count_if(objects.begin(), objects.end(), [](const json& each) { return each.contains("image"); }), 6);
    const Outcome refused = run(evaluate);
    EXPECT_EQ(refused.code, 1) << "figures of fewer images would be others";
    EXPECT_THAT(refused.text, HasSubstr("broken.png: is not an image"));
}

TEST_F(TinyModel, BitsOfACameraAreFoundSaidAndKept)
{
    for (int i = 0; i < 6; i++)
    {
        const cv::Mat image = cv::imread((folder->path() / fmt::format("nuts/{}.png", i)).string());
        for (const int bits : {10, 12})
        {
            cv::Mat deep;
            image.convertTo(deep, CV_16U, ((1 << bits) - 1) / 255.0);
            cv::imwrite(*folder / fmt::format("deep{}/{}.png", bits, i), deep);
        }
    }
    const auto trainDeep = [&](const std::string& data, const std::string& out, const Arguments& more = {})
    {
        const std::string from = (folder->path() / data).string(), to = (folder->path() / out).string();
        Arguments arguments = {"train", "--data", from, "--out", to, "--backbone", backbone, "--reference-backbone",
                               "--config", test::tinyConfig(4)};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return Process(arguments).finish();
    };
    const auto score = [&](const std::string& model, const std::string& image)
    {
        return firstLine(Process({"detect", (folder->path() / model).string(), (folder->path() / image).string(), "--json"}).finish().text)
            .at("score")
            .get<double>();
    };
    ASSERT_EQ(Process(train("eight.agp", 4)).finish().code, 0);
    const double expected = score("eight.agp", "nuts/3.png");
    for (const int bits : {10, 12})
    {
        const std::string data = fmt::format("deep{}", bits), model = data + ".agp";
        const Outcome trained = trainDeep(data, model);
        ASSERT_EQ(trained.code, 0) << trained.text;
        EXPECT_THAT(trained.text, HasSubstr(fmt::format("6 images of 16 bits hold values up to {}: taken as {} bits, 0 to {}, as found",
                                                        (1 << bits) - 1, bits, (1 << bits) - 1)));
        EXPECT_EQ(headerOf(model)["config"]["bits"], bits);
        EXPECT_NEAR(score(model, data + "/3.png"), expected, 0.02 * expected);
        EXPECT_THAT(Process({"info", (folder->path() / model).string()}).finish().text, HasSubstr(fmt::format("\"bits\": {}", bits)));
    }
    const Outcome above = Process({"detect", (folder->path() / "deep10.agp").string(), (folder->path() / "deep12").string()}).finish();
    EXPECT_EQ(above.code, 0);
    EXPECT_THAT(above.text, HasSubstr("0.png: image holds values up to 4095, and the model takes those of 10 bits, 0 to 1023"));
    EXPECT_THAT(above.text, HasSubstr("the values of 6 of 6 images do not fit those of training"));
    const Outcome calibrated = Process({"calibrate", (folder->path() / "deep10.agp").string(), "--data",
                                        (folder->path() / "deep12").string(), "--out", (folder->path() / "c.agp").string()})
                                   .finish();
    EXPECT_THAT(calibrated.text, HasSubstr("note: 6 images of 16 bits hold values above 1023, the maximum of the model's 10 bits, up to "
                                           "4095: its thresholds are not valid for them"));
    const Outcome below = Process({"detect", (folder->path() / "eight.agp").string(), (folder->path() / "deep12/1.png").string()}).finish();
    EXPECT_THAT(below.text, HasSubstr("it is dark, or of 12 bits"));

    const Outcome given = trainDeep("deep12", "given.agp", {"--bits", "10"});
    ASSERT_EQ(given.code, 0) << given.text;
    EXPECT_THAT(given.text, HasSubstr("taken as 10 bits, 0 to 1023, as given"));
    EXPECT_THAT(given.text, HasSubstr("note: 6 of 6 images of 16 bits hold values above 1023, the maximum of 10 bits: up to 4095"));
    EXPECT_EQ(headerOf("given.agp")["config"]["bits"], 10);

    // a config that says 0 says what one without the key does
    const std::string deep12 = (folder->path() / "deep12").string(), zero = (folder->path() / "zero.agp").string();
    Arguments go = {"train", "--data", deep12, "--out", zero, "--backbone", backbone, "--reference-backbone",
                    "--config", test::tinyConfig(2000, "\"bits\":0")};
    Process first(go);
    first.waitFor("step 1/");
    first.send(SIGINT);
    ASSERT_EQ(first.finish().code, 130);
    go.push_back("--resume");
    const Outcome resumed = Process(go).finish();
    EXPECT_EQ(resumed.code, 0) << resumed.text;
    EXPECT_EQ(headerOf("zero.agp")["config"]["bits"], 12);
    EXPECT_EQ(headerOf("zero.agp")["training"]["values"]["given"], false);
    EXPECT_NE(trainDeep("deep12", "x.agp", {"--bits", "7"}).code, 0);
}

class Watching : public TinyModel
{
protected:
    void SetUp() override
    {
        if (!exists("watch.agp"))
        {
            const Outcome outcome = Process(train("watch.agp", 4)).finish();
            ASSERT_EQ(outcome.code, 0) << outcome.text;
        }
    }
    /// `agpnet watch` on a machine without a display.
    static Outcome watch(const std::string& source, const std::string& more = "", const std::string& environment = "-u QT_QPA_PLATFORM")
    {
        return run("env -u DISPLAY -u WAYLAND_DISPLAY " + environment + " " AGPNET_PROGRAM " watch " +
                   shellQuoted(folder->path() / "watch.agp") + " " + shellQuoted(source) + " " + more);
    }
    static std::string place(const std::string& name) { return (folder->path() / name).string(); }
};

TEST_F(Watching, WritesAVideoOfAFolderWithTheDecisionsOfDetect)
{
    const std::string out = place("nuts.avi");
    // so that some are above the threshold and some are not
    json scores = json::parse("[" + [&] {
        std::string lines = run(AGPNET_PROGRAM " detect --json " + shellQuoted(place("watch.agp")) + " " + shellQuoted(place("nuts"))).text;
        lines.pop_back();
        std::replace(lines.begin(), lines.end(), '\n', ',');
        return lines;
    }() + "]");
    scores.erase(scores.size() - 1); // how many files there were
    ASSERT_EQ(scores.size(), 6u);
    std::vector<double> sorted;
    for (const json& each : scores)
        sorted.push_back(each.at("score"));
    std::sort(sorted.begin(), sorted.end());
    const double sensitivity = scores[0].at("threshold").get<double>() / ((sorted[2] + sorted[3]) / 2);

    const Outcome outcome = watch(place("nuts"), "--out " + shellQuoted(out) + " --fps 7" + fmt::format(" --sensitivity {}", sensitivity));
    EXPECT_EQ(outcome.code, 0) << outcome.text;
    EXPECT_THAT(outcome.text, HasSubstr("3 of 6 frames anomalous"));
    EXPECT_THAT(outcome.text, HasSubstr("video: " + out));
    cv::VideoCapture video(out);
    EXPECT_EQ(video.get(cv::CAP_PROP_FRAME_COUNT), 6);
    EXPECT_NEAR(video.get(cv::CAP_PROP_FPS), 7, 1e-6);
    cv::Mat frame, before;
    for (const json& each : scores)
    {
        ASSERT_TRUE(video.read(frame));
        EXPECT_EQ(frame.size(), cv::Size(640, 532 + 44)); // 48x40, enlarged, and the line above
        // the decision's colour, orange or blue, in the line
        const cv::Scalar colour = cv::mean(frame(cv::Rect(14, 8, 120, 28)));
        EXPECT_EQ(colour[2] > colour[0], each.at("score").get<double>() > sorted[2]) << colour << each.at("image");
        EXPECT_TRUE(before.empty() || cv::norm(frame, before, cv::NORM_INF) > 40) << "another picture";
        frame.copyTo(before);
    }
    expectNoParts();

    // a video is a source as well, up to so many frames
    const Outcome again = watch(out, "--frames 2 --out " + shellQuoted(place("again.avi")));
    EXPECT_EQ(again.code, 0) << again.text;
    EXPECT_THAT(again.text, HasSubstr("of 2 frames anomalous"));
    cv::VideoCapture second(place("again.avi"));
    EXPECT_EQ(second.get(cv::CAP_PROP_FRAME_COUNT), 2);
    EXPECT_NEAR(second.get(cv::CAP_PROP_FPS), 7, 1e-6) << "the source's";
}

TEST_F(Watching, ABadPictureDoesNotCostTheOthers)
{
    for (const char* name : {"0.png", "1.png"})
    {
        fs::create_directories(place("mixed"));
        fs::copy_file(place("nuts") + "/" + name, place("mixed") + "/" + name, fs::copy_options::overwrite_existing);
    }
    test::writeBytes(place("mixed") + "/00.png", std::string("no picture"));
    cv::imwrite(place("mixed") + "/2.png", cv::Mat(400, 90, CV_8UC3, cv::Scalar(40, 90, 140))); // fitted into the first one's size
    const Outcome outcome = watch(place("mixed"), "--out " + shellQuoted(place("mixed.avi")));
    EXPECT_EQ(outcome.code, 1) << outcome.text;
    EXPECT_THAT(outcome.text, HasSubstr("00.png"));
    EXPECT_EQ(cv::VideoCapture(place("mixed.avi")).get(cv::CAP_PROP_FRAME_COUNT), 3);
}

TEST_F(Watching, SaysWhatIsMissing)
{
    const Outcome display = watch(place("nuts"));
    EXPECT_EQ(display.code, 1) << display.text;
    EXPECT_THAT(display.text, HasSubstr("no display to open a window on; --out FILE.avi"));
    test::writeBytes(place("notes.txt"), std::string("text"));
    for (const auto& [source, part] : {std::pair<std::string, const char*>{"999", "camera 999 cannot be opened"},
                                       {place("none"), "none: no such file, folder or camera"},
                                       {place("notes.txt"), "notes.txt: is no image and no video"}})
    {
        const Outcome outcome = watch(source, "--out " + shellQuoted(place("x.avi")));
        EXPECT_EQ(outcome.code, 1);
        EXPECT_THAT(outcome.text, HasSubstr(part));
        EXPECT_EQ(std::count(outcome.text.begin(), outcome.text.end(), '\n'), 1) << outcome.text;
    }
    EXPECT_THAT(watch(place("nuts"), "--out " + shellQuoted(place("x.mp4"))).text, HasSubstr("expected a name that ends in .avi"));
    EXPECT_THAT(watch(place("nuts"), "--out " + shellQuoted(place("none/x.avi"))).text,
                HasSubstr("none/x.avi: cannot be written: No such file"));
    EXPECT_FALSE(exists("x.avi"));
    expectNoParts();
}

TEST_F(Watching, AVideoThatWasCutOffGivesWhatItHasAndSaysSo)
{
    constexpr int frames = 40;
    {
        cv::VideoWriter writer(place("whole.avi"), cv::VideoWriter::fourcc('M', 'J', 'P', 'G'), 10, {48, 40});
        cv::Mat frame(40, 48, CV_8UC3);
        for (int i = 0; i < frames; i++)
        {
            cv::RNG(static_cast<uint64_t>(i) + 1).fill(frame, cv::RNG::UNIFORM, 0, 256);
            writer.write(frame);
        }
    }
    const std::string bytes = test::readBytes(place("whole.avi"));
    test::writeBytes(place("cut.avi"), bytes.substr(0, bytes.size() * 6 / 10));
    const Outcome whole = watch(place("whole.avi"), "--out " + shellQuoted(place("x.avi")));
    EXPECT_EQ(whole.code, 0) << whole.text;
    EXPECT_THAT(whole.text, HasSubstr("of 40 frames anomalous"));
    const Outcome cut = watch(place("cut.avi"), "--out " + shellQuoted(place("x.avi")));
    EXPECT_EQ(cut.code, 1) << cut.text;
    EXPECT_THAT(cut.text, HasSubstr("of the 40 frames that it promises"));
    EXPECT_THAT(cut.text, HasSubstr("video: "));
    const double written = cv::VideoCapture(place("x.avi")).get(cv::CAP_PROP_FRAME_COUNT);
    EXPECT_GT(written, 15);
    EXPECT_LT(written, 30);
}

/// A camera in the network: to each connection it sends so many pictures, and then nothing, or the end.
class NetworkCamera
{
public:
    NetworkCamera(int frames, bool ends) : frames_(frames), ends_(ends)
    {
        listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof address;
        ::bind(listener_, reinterpret_cast<const sockaddr*>(&address), length);
        ::listen(listener_, 4);
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
        port_ = ntohs(address.sin_port);
        thread_ = std::thread([this] { serve(); });
    }
    ~NetworkCamera()
    {
        ::shutdown(listener_, SHUT_RDWR); // ends accept()
        thread_.join();
        for (const int connection : connections_)
            ::close(connection);
        ::close(listener_);
    }
    std::string address() const { return fmt::format("http://127.0.0.1:{}/live.mjpg", port_); }
    void waitUntilSent() const
    {
        while (sent_ == 0)
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }

private:
    void serve()
    {
        for (int connection; (connection = ::accept(listener_, nullptr, nullptr)) >= 0; connections_.push_back(connection))
        {
            char request[4096];
            if (::read(connection, request, sizeof request) <= 0 || frames_ == 0)
                continue;
            std::string text = "HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=frame\r\n\r\n";
            cv::Mat picture(40, 48, CV_8UC3);
            for (int i = 0; i < frames_; i++)
            {
                std::vector<uchar> jpeg;
                cv::RNG(static_cast<uint64_t>(i) + 1).fill(picture, cv::RNG::UNIFORM, 0, 256);
                cv::imencode(".jpg", picture, jpeg);
                text += fmt::format("--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", jpeg.size());
                text.append(jpeg.begin(), jpeg.end());
                text += "\r\n";
            }
            for (size_t at = 0; at < text.size();)
            {
                const ssize_t n = ::send(connection, text.data() + at, text.size() - at, MSG_NOSIGNAL);
                if (n <= 0)
                    break;
                at += static_cast<size_t>(n);
            }
            if (ends_)
                ::shutdown(connection, SHUT_RDWR);
            sent_++;
        }
    }

    const int frames_;
    const bool ends_;
    int listener_ = -1, port_ = 0;
    std::vector<int> connections_;
    std::atomic<int> sent_ = 0;
    std::thread thread_;
};

TEST_F(Watching, SaysWhatIsWrongWithAStream)
{
    const std::string out = " --out " + shellQuoted(place("stream.avi"));
    std::string closed;
    {
        closed = NetworkCamera(0, true).address();
    }
    const Outcome refused = watch(closed, out);
    EXPECT_EQ(refused.code, 1);
    // FFmpeg may have said something before
    EXPECT_THAT(
        refused.text,
        ::testing::EndsWith(fmt::format(
            "agpnet: {}: cannot be opened: nothing answers at this address, or what it sends is no video that OpenCV can read\n", closed)));

    const NetworkCamera silent(0, false);
    const Outcome unanswered = watch(silent.address(), out + " --timeout 1");
    EXPECT_EQ(unanswered.code, 1);
    EXPECT_THAT(unanswered.text,
                ::testing::EndsWith(fmt::format("agpnet: {}: no answer within 1 s; --timeout SECONDS waits longer\n", silent.address())));
    EXPECT_FALSE(exists("stream.avi"));

    const NetworkCamera stalling(100, false), ending(100, true);
    const Outcome stalled = watch(stalling.address(), out + " --timeout 2");
    if (stalled.text.find("cannot be opened") != std::string::npos)
        GTEST_SKIP() << "this OpenCV has no FFmpeg";
    EXPECT_EQ(stalled.code, 1) << stalled.text;
    EXPECT_THAT(stalled.text, HasSubstr(stalling.address() + ": no frame came within 2 s, after "));
    EXPECT_THAT(stalled.text, HasSubstr("video: ")) << "what came is kept";
    const Outcome ended = watch(ending.address(), out + " --timeout 2");
    EXPECT_EQ(ended.code, 1) << ended.text;
    EXPECT_THAT(ended.text, HasSubstr(ending.address() + ": gives no more frames, after 100"));
    const Outcome enough = watch(ending.address(), out + " --frames 1"); // more may be dropped on a busy machine
    EXPECT_EQ(enough.code, 0) << enough.text;
}

TEST_F(Watching, AnEndedStreamIsOpenedAgain)
{
    const NetworkCamera ending(40, true);
    Process running({"watch", place("watch.agp"), ending.address(), "--out", place("again.avi"), "--timeout", "5", "--reconnect", "2"});
    running.waitFor("opened again (1 of 2)");
    running.waitFor("gives no more frames, after 80; opened again");
    running.send(SIGINT);
    const Outcome outcome = running.finish();
    EXPECT_EQ(outcome.code, 0) << outcome.text;
    EXPECT_THAT(outcome.text, HasSubstr("frames anomalous"));
}

TEST_F(Watching, CtrlCDoesNotWaitForAFrame)
{
    const NetworkCamera stalling(100, false);
    Process running({"watch", place("watch.agp"), stalling.address(), "--out", place("stopped.avi"), "--timeout", "100000"});
    stalling.waitUntilSent();
    std::this_thread::sleep_for(std::chrono::seconds(3)); // then it has inspected them, and waits
    running.send(SIGINT);
    const Outcome outcome = running.finish();
    EXPECT_EQ(outcome.code, 0) << outcome.text;
    EXPECT_THAT(outcome.text, HasSubstr("video: "));
    EXPECT_GT(cv::VideoCapture(place("stopped.avi")).get(cv::CAP_PROP_FRAME_COUNT), 0);
    expectNoParts();
}

TEST_F(Watching, AFullDiskLeavesNoPartOfAVideo)
{
    const Outcome outcome = Process({"watch", place("watch.agp"), place("nuts"), "--out", place("full.avi")}, 30'000).finish();
    EXPECT_EQ(outcome.code, 1) << outcome.text;
    EXPECT_THAT(outcome.text, HasSubstr("not all of the 6 frames could be written"));
    EXPECT_FALSE(exists("full.avi"));
    expectNoParts();
}

TEST_F(Watching, AWindowShowsAFolderToItsEnd)
{
    // Qt, which HighGUI has in Debian, can draw without a display
    const Outcome outcome = watch(place("nuts"), "--fps 50", "QT_QPA_PLATFORM=offscreen");
    if (outcome.text.find("no display") != std::string::npos)
        GTEST_SKIP() << "this OpenCV's HighGUI needs a display";
    EXPECT_EQ(outcome.code, 0) << outcome.text;
    EXPECT_THAT(outcome.text, HasSubstr("of 6 frames anomalous"));
}

TEST_F(Watching, LibraryAndProgramNeedNoWindowsUntilTheyAreShown)
{
    for (const char* file : {AGPNET_PLUGIN_PATH, AGPNET_PROGRAM})
    {
        const Outcome needed = run(std::string("readelf -d ") + file);
        ASSERT_EQ(needed.code, 0) << needed.text;
        EXPECT_THAT(needed.text, HasSubstr("libopencv_core")) << file;
        EXPECT_THAT(needed.text, Not(HasSubstr("highgui"))) << file;
    }
}

} // namespace
} // namespace agpnet

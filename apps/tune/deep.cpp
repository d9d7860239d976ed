#include "apps/tune/deep.h"

#include "common/error.h"
#include "halide_generators/runtime/stage_table.h"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <map>
#include <set>
#include <spawn.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

extern char** environ;

namespace agpnet::app
{

namespace fs = std::filesystem;
using nlohmann::json;
using stages::Workload;
using tuning::Status;
using tuning::Trial;

namespace
{

constexpr double compileSeconds = 120;

/// Empty if the command ended well; else what it said last, or that it was ended.
std::string problemOfRunning(std::vector<std::string> command, const fs::path& log)
{
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
    std::vector<char*> arguments;
    for (std::string& argument : command)
        arguments.push_back(argument.data());
    arguments.push_back(nullptr);
    pid_t process = -1;
    const int started = ::posix_spawnp(&process, command[0].c_str(), &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (started != 0)
        return fmt::format("{}: cannot be started: {}", command[0], std::strerror(started));
    using clock = std::chrono::steady_clock;
    const clock::time_point begin = clock::now();
    int status = 0;
    while (::waitpid(process, &status, WNOHANG) == 0)
    {
        if (std::chrono::duration<double>(clock::now() - begin).count() > compileSeconds)
        {
            ::kill(process, SIGKILL);
            ::waitpid(process, &status, 0);
            return fmt::format("not compiled within {} s", compileSeconds);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return {};
    std::string last = "it cannot be compiled";
    std::ifstream said(log);
    for (std::string line; std::getline(said, line);)
        if (!line.empty())
            last = line.substr(0, 300);
    return last;
}

std::string cached(const fs::path& build, const std::string& key)
{
    std::ifstream cache(build / "CMakeCache.txt");
    for (std::string line; std::getline(cache, line);)
        if (line.compare(0, key.size() + 1, key + ":") == 0)
            return line.substr(line.find('=') + 1);
    fail("{}: is no build folder: its CMakeCache.txt has no {}", build.string(), key);
}

} // namespace

BuildTools::BuildTools(const fs::path& build)
    : generators(fs::absolute(build) / "halide_generators"), trial(fs::absolute(build) / "bin" / "agpnet-trial"),
      compiler(cached(build, "CMAKE_CXX_COMPILER"))
{
    require(fs::exists(trial), "{}: is not built; build the target agpnet_trial", trial.string());
    const fs::path space = fs::path(cached(build, "CMAKE_HOME_DIRECTORY")) / "halide_generators" / "search_space.json";
    std::ifstream file(space);
    spaces = json::parse(file, nullptr, false);
    require(spaces.is_object() && spaces.contains("spaces"), "{}: is no search space", space.string());
}

struct DeepSearch::Space
{
    std::vector<std::string> names;
    std::vector<std::vector<int>> values;
    json limits;

    explicit Space(const json& space) : limits(space)
    {
        for (const auto& [name, list] : space.at("parameters").items())
        {
            names.push_back(name);
            values.push_back(list.get<std::vector<int>>());
        }
    }

    int value(const Point& point, const std::string& name) const
    {
        const auto at = static_cast<size_t>(std::find(names.begin(), names.end(), name) - names.begin());
        return at < names.size() ? values[at][point[at]] : 1;
    }

    int multiple(const Point& point) const
    {
        if (!limits.contains("channels"))
            return 1;
        return limits["channels"].at("times").get<int>() * value(point, limits["channels"].at("parameter").get<std::string>());
    }

    bool allows(const Point& point, const Workload& workload) const
    {
        if (limits.contains("at_most"))
        {
            int product = 1;
            for (const json& name : limits["at_most"].at("parameters"))
                product *= value(point, name.get<std::string>());
            if (product > limits["at_most"].at("value").get<int>())
                return false;
        }
        return workload.from[1] % multiple(point) == 0;
    }

    std::string parameters(const Point& point) const
    {
        std::string text;
        for (size_t i = 0; i < names.size(); i++)
            text += fmt::format("{}{}={}", i ? " " : "", names[i], values[i][point[i]]);
        return text;
    }

    std::vector<Point> all(const Workload& workload) const
    {
        std::vector<Point> points = {{}};
        for (const std::vector<int>& choices : values)
        {
            std::vector<Point> longer;
            for (const Point& point : points)
                for (size_t i = 0; i < choices.size(); i++)
                {
                    longer.push_back(point);
                    longer.back().push_back(i);
                }
            points = std::move(longer);
        }
        std::erase_if(points, [&](const Point& point) { return !allows(point, workload); });
        return points;
    }
};

DeepSearch::DeepSearch(BuildTools tools, fs::path folder, Worker& worker, TuneSession& session, Journal& journal, uint64_t seed)
    : tools_(std::move(tools)), folder_(std::move(folder)), worker_(worker), session_(session), journal_(journal), random_(seed)
{
    fs::create_directories(folder_);
}

bool DeepSearch::compile(const Workload& workload, const Candidate& candidate, const json& row)
{
    const std::string function =
        fmt::format("{}_{}_{}_{}", workload.stage, workload.kind, row.at("layout").get<std::string>(), candidate.variant);
    const fs::path library = folder_ / (function + ".so"), object = folder_ / (function + ".o"), log = folder_ / "log";
    const auto failed = [&](Status status, std::string why)
    {
        std::erase_if(why, [](unsigned char c) { return c < 32 || c == 127; });
        Trial trial;
        trial.variant = candidate.variant;
        trial.parameters = candidate.parameters;
        trial.status = status;
        trial.message = why.substr(0, 400);
        if (!journal_.find(workload, "first", candidate.variant))
            journal_.add(workload, "first", trial);
        return false;
    };
    if (!fs::exists(library))
    {
        std::vector<std::string> command = {(tools_.generators / fmt::format("agpnet_{}_generator", workload.stage)).string(),
                                            "-g", workload.stage, "-f", function, "-e", "object", "-o", folder_.string(),
                                            "target=" + row.at("target").get<std::string>() + "-user_context-no_runtime"};
        for (std::string& argument : stages::stageOf(workload.stage).generatorArguments(row.at("layout").get<std::string>(), workload.kind))
            command.push_back(std::move(argument));
        for (const auto& [key, value] : row.at("params").items())
            command.push_back(key + "=" + value.dump());
        std::string why = problemOfRunning(command, log);
        const fs::path made = library.string() + ".part";
        if (why.empty())
            why = problemOfRunning({tools_.compiler.string(), "-shared", "-o", made.string(), object.string()}, log);
        std::error_code ignored;
        fs::remove(object, ignored);
        if (!why.empty())
            return failed(Status::CompileError, why);
        fs::rename(made, library);
    }
    json load = row;
    load["do"] = "load";
    load["library"] = library.string();
    load["function"] = function + "_argv";
    load["parameters"] = candidate.parameters;
    try
    {
        worker_.ask(load, 60);
    }
    catch (const std::exception& error) // the next schedule has its chance all the same
    {
        return failed(Status::LaunchError, error.what());
    }
    worker_.greetings.push_back(load);
    rows_.push_back(row);
    return true;
}

void DeepSearch::search(const Workload& workload, const Candidate& standard, stages::Api api, int count, double seconds)
{
    const auto found = std::find_if(tools_.spaces.at("spaces").begin(), tools_.spaces.at("spaces").end(),
                                    [&](const json& space)
                                    {
                                        return space.at("stage") == workload.stage && space.at("api") == stages::nameOf(api) &&
                                               space.at("layout") == workload.layout;
                                    });
    require(found != tools_.spaces.at("spaces").end(), "the search space has nothing for {} on {} with layout {}", workload.stage,
            stages::nameOf(api), workload.layout);
    const Space space(*found);
    std::vector<Point> open = space.all(workload);
    std::shuffle(open.begin(), open.end(), random_);

    const auto candidateOf = [&](const Point& point)
    {
        const std::string parameters = space.parameters(point);
        std::string name = standard.variant + "_" + parameters;
        std::erase(name, '=');
        std::replace(name.begin(), name.end(), ' ', '_');
        return Candidate{name, parameters, standard.target};
    };
    std::map<Point, double> tried;
    using clock = std::chrono::steady_clock;
    const clock::time_point begin = clock::now();
    const auto timeLeft = [&] { return session_.timeLeft() && std::chrono::duration<double>(clock::now() - begin).count() < seconds; };
    for (int i = 0; i < count && !open.empty() && timeLeft(); i++)
    {
        // the second half near the best that has an untried neighbour; a neighbour differs in one parameter by one step
        size_t next = 0;
        if (i >= count / 2 && !tried.empty())
        {
            std::vector<std::pair<double, Point>> best;
            for (const auto& [point, speedup] : tried)
                best.emplace_back(speedup, point);
            std::sort(best.rbegin(), best.rend());
            for (const auto& [speedup, point] : best)
            {
                const auto near = std::find_if(open.begin(), open.end(),
                                               [&from = point](const Point& other)
                                               {
                                                   size_t steps = 0;
                                                   for (size_t k = 0; k < from.size(); k++)
                                                       steps += from[k] > other[k] ? from[k] - other[k] : other[k] - from[k];
                                                   return steps == 1;
                                               });
                if (near != open.end())
                {
                    next = static_cast<size_t>(near - open.begin());
                    break;
                }
            }
        }
        const Point point = open[next];
        open.erase(open.begin() + static_cast<ptrdiff_t>(next));
        const Candidate candidate = candidateOf(point);
        json row = {{"stage", workload.stage}, {"api", stages::nameOf(api)}, {"name", candidate.variant}, {"target", standard.target},
                    {"layout", workload.layout}, {"params", tuning::parametersToJson(candidate.parameters)}};
        if (!workload.kind.empty())
            row["kind"] = workload.kind;
        if (space.multiple(point) > 1)
            row["multiple"] = space.multiple(point);
        const Trial* known = journal_.find(workload, "first", candidate.variant);
        if (known && known->status != Status::Ok)
            continue;
        if (!compile(workload, candidate, row))
            continue;
        const Trial trial = session_.measure(workload, candidate, standard, "first");
        if (trial.status == Status::Ok)
            tried[point] = trial.speedup;
    }
}

json DeepSearch::variantsOf(const tuning::Record& record) const
{
    json rows = json::array();
    for (const json& row : rows_)
    {
        const auto name = row.at("name").get<std::string>(), stage = row.at("stage").get<std::string>(), kind = row.value("kind", "");
        const bool wanted = std::any_of(record.entries.begin(), record.entries.end(),
                                        [&](const tuning::Entry& entry)
                                        {
                                            return entry.best == name && entry.workload.stage == stage && entry.workload.kind == kind;
                                        });
        if (wanted && std::find(rows.begin(), rows.end(), row) == rows.end())
            rows.push_back(row);
    }
    return {{"variants", rows}};
}

} // namespace agpnet::app

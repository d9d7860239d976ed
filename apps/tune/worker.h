// A process that measures for this one, and may die of it.
#pragma once

#include "tuning/record.h"

#include <nlohmann/json.hpp>
#include <functional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace agpnet::app
{

/// Why there was no answer: the process hung and was ended, or died by itself.
class WorkerLost : public std::runtime_error
{
public:
    WorkerLost(tuning::Status why, const std::string& message) : std::runtime_error(message), status(why) {}
    tuning::Status status;
};

class Worker
{
public:
    /// The program and its arguments; it starts with the first request, and again with the first one after it was lost.
    explicit Worker(std::vector<std::string> command) : command_(std::move(command)) {}
    ~Worker() { end(); }
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    /// @throws WorkerLost; Error where the process answers that it cannot
    nlohmann::json ask(const nlohmann::json& request, double seconds);

    /// Told to each process before all else.
    std::vector<nlohmann::json> greetings;

private:
    void start();
    void end();
    nlohmann::json exchange(const nlohmann::json& request, double seconds);
    [[noreturn]] void lost();

    std::vector<std::string> command_;
    pid_t process_ = -1;
    int socket_ = -1;
    std::string unread_;
};

/// The other side: answers on standard input and output until the input ends. What is printed meanwhile goes nowhere.
int serve(const std::function<std::string(const std::string&)>& answer);

} // namespace agpnet::app

#include "apps/tune/worker.h"

#include "common/error.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace agpnet::app
{

using nlohmann::json;

namespace
{

bool sendAll(int to, const std::string& text)
{
    for (size_t sent = 0; sent < text.size();)
    {
        const ssize_t count = ::send(to, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return false;
        sent += static_cast<size_t>(count);
    }
    return true;
}

} // namespace

void Worker::start()
{
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        fail("no socket for a process of our own: {}", std::strerror(errno));
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    std::vector<char*> arguments;
    for (std::string& argument : command_)
        arguments.push_back(argument.data());
    arguments.push_back(nullptr);
    const int status = ::posix_spawn(&process_, command_[0].c_str(), &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    socket_ = ends[0];
    unread_.clear();
    if (status != 0)
    {
        process_ = -1;
        end();
        fail("{}: cannot be started: {}", command_[0], std::strerror(status));
    }
    for (const json& greeting : greetings)
        exchange(greeting, 60);
}

void Worker::end()
{
    if (socket_ >= 0)
        ::close(socket_);
    socket_ = -1;
    if (process_ > 0)
    {
        ::kill(process_, SIGKILL);
        while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR)
            ;
    }
    process_ = -1;
}

void Worker::lost()
{
    int status = 0;
    const pid_t process = process_;
    while (::waitpid(process, &status, 0) < 0 && errno == EINTR)
        ;
    process_ = -1;
    end();
    throw WorkerLost(tuning::Status::LaunchError, WIFSIGNALED(status) ? fmt::format("the process died: {}", strsignal(WTERMSIG(status)))
                                                                     : fmt::format("the process ended with code {}", WEXITSTATUS(status)));
}

json Worker::exchange(const json& request, double seconds)
{
    using clock = std::chrono::steady_clock;
    const clock::time_point deadline = clock::now() + std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(seconds));
    if (!sendAll(socket_, request.dump() + "\n"))
        lost();
    size_t end = 0;
    while ((end = unread_.find('\n')) == std::string::npos)
    {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - clock::now()).count();
        pollfd wait{socket_, POLLIN, 0};
        const int ready = left > 0 ? ::poll(&wait, 1, static_cast<int>(left)) : 0;
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready == 0)
        {
            this->end();
            throw WorkerLost(tuning::Status::Timeout, fmt::format("no answer within {:g} s", seconds));
        }
        char buffer[4096];
        const ssize_t count = ::recv(socket_, buffer, sizeof buffer, 0);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            lost();
        unread_.append(buffer, static_cast<size_t>(count));
    }
    const std::string line = unread_.substr(0, end);
    unread_.erase(0, end + 1);
    const json answer = json::parse(line, nullptr, false);
    require(answer.is_object(), "{} answers with something else than JSON: {}", command_[0], line.substr(0, 80));
    return answer;
}

json Worker::ask(const json& request, double seconds)
{
    if (process_ < 0)
        start();
    const json answer = exchange(request, seconds);
    if (answer.contains("error"))
        throw Error(answer["error"].get<std::string>());
    return answer;
}

int serve(const std::function<std::string(const std::string&)>& answer)
{
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int out = ::dup(STDOUT_FILENO), nowhere = ::open("/dev/null", O_WRONLY);
    ::dup2(nowhere, STDOUT_FILENO);
    ::close(nowhere);
    std::string unread;
    char buffer[4096];
    while (true)
    {
        size_t end = 0;
        while ((end = unread.find('\n')) != std::string::npos)
        {
            const std::string reply = answer(unread.substr(0, end)) + "\n";
            unread.erase(0, end + 1);
            for (size_t sent = 0; sent < reply.size();)
            {
                const ssize_t count = ::write(out, reply.data() + sent, reply.size() - sent);
                if (count <= 0 && errno != EINTR)
                    return 0;
                sent += static_cast<size_t>(std::max<ssize_t>(count, 0));
            }
        }
        const ssize_t count = ::read(STDIN_FILENO, buffer, sizeof buffer);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return 0;
        unread.append(buffer, static_cast<size_t>(count));
    }
}

} // namespace agpnet::app

#pragma once

#include <csignal>
#include <signal.h>

namespace agpnet::app
{

inline volatile std::sig_atomic_t interrupted = 0;

/// What a command throws that gives up on Ctrl-C: files it had begun are taken away on its way out.
struct Interrupted
{
};

/// Between two images, for a command with an InterruptGuard.
inline void stopIfInterrupted()
{
    if (interrupted)
        throw Interrupted();
}

/// While it lives, Ctrl-C and a scheduler's SIGTERM set `interrupted`, so that what is at hand can be finished; a second one ends
/// the program.
class InterruptGuard
{
public:
    InterruptGuard()
    {
        struct sigaction action = {};
        action.sa_handler = [](int) { interrupted = 1; };
        action.sa_flags = static_cast<int>(SA_RESETHAND);
        ::sigaction(SIGINT, &action, &oldInt_);
        ::sigaction(SIGTERM, &action, &oldTerm_);
    }
    ~InterruptGuard()
    {
        ::sigaction(SIGINT, &oldInt_, nullptr);
        ::sigaction(SIGTERM, &oldTerm_, nullptr);
    }
    InterruptGuard(const InterruptGuard&) = delete;
    InterruptGuard& operator=(const InterruptGuard&) = delete;

private:
    struct sigaction oldInt_ = {}, oldTerm_ = {};
};

} // namespace agpnet::app

#include "apps/tune/progress.h"

#include <cstdio>
#include <fmt/format.h>
#include <unistd.h>

namespace agpnet::app
{

using std::chrono::duration;
using std::chrono::steady_clock;

std::string durationText(double seconds)
{
    const auto whole = static_cast<long>(seconds + 0.5);
    if (whole < 60)
        return fmt::format("{} s", whole);
    if (whole < 3600)
        return fmt::format("{} min {:02} s", whole / 60, whole % 60);
    return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

Progress::Progress(std::string what, std::string unit, int total, int done, bool quiet)
    : what_(std::move(what)), unit_(std::move(unit)), total_(total), begun_(done), terminal_(::isatty(STDERR_FILENO) == 1), quiet_(quiet),
      start_(steady_clock::now()), shown_(start_)
{
}

Progress::~Progress()
{
    if (open_)
        std::fputc('\n', stderr);
}

void Progress::update(int done, const std::string& note)
{
    if (quiet_)
        return;
    const auto now = steady_clock::now();
    const double interval = terminal_ ? 0.1 : 10;
    if (done < total_ && done > begun_ + 1 && duration<double>(now - shown_).count() < interval)
        return;
    shown_ = now;
    const double seconds = duration<double>(now - start_).count();
    const int fresh = done - begun_;
    std::string line = fmt::format("{} {}/{}", what_, done, total_);
    if (!note.empty())
        line += "  " + note;
    if (fresh > 1 && seconds > 0.2)
        line += fmt::format("  {:.{}f} {}/s", fresh / seconds, fresh / seconds < 10 ? 2 : 0, unit_);
    if (fresh > 1 && done < total_)
        line += fmt::format("  {} left", durationText((total_ - done) * seconds / fresh));
    if (terminal_)
    {
        std::fprintf(stderr, "\r\033[K%s", line.c_str());
        open_ = done < total_;
        if (!open_)
            std::fputc('\n', stderr);
    }
    else
        std::fprintf(stderr, "%s\n", line.c_str());
    std::fflush(stderr);
}

} // namespace agpnet::app

// What this process keeps in memory now.
#pragma once

#include <fstream>
#include <unistd.h>

inline double residentMegabytes()
{
    std::ifstream file("/proc/self/statm");
    long total = 0, resident = 0;
    file >> total >> resident;
    return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1e6;
}

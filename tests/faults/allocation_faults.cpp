#include "tests/faults/fault_layer.h"

#include <cerrno>
#include <cstddef>

namespace
{

thread_local long failing = 0, count = 0;
thread_local size_t smallest = 0;

bool fails(size_t bytes)
{
    return bytes >= smallest && failing > 0 && ++count == failing;
}

} // namespace

long agpnet::test::failAllocation(long nth, size_t least)
{
    const long before = count;
    failing = nth;
    smallest = least;
    count = 0;
    return before;
}

// for the libraries that are loaded, too
#pragma GCC visibility push(default)
extern "C"
{
    void* __libc_malloc(size_t);
    void* __libc_calloc(size_t, size_t);
    void* __libc_realloc(void*, size_t);
    void* __libc_memalign(size_t, size_t);

    void* malloc(size_t bytes) noexcept
    {
        return fails(bytes) ? nullptr : __libc_malloc(bytes);
    }
    void* calloc(size_t many, size_t bytes) noexcept
    {
        return fails(many * bytes) ? nullptr : __libc_calloc(many, bytes);
    }
    void* realloc(void* memory, size_t bytes) noexcept
    {
        return fails(bytes) ? nullptr : __libc_realloc(memory, bytes);
    }
    void* aligned_alloc(size_t alignment, size_t bytes) noexcept
    {
        return fails(bytes) ? nullptr : __libc_memalign(alignment, bytes);
    }
    int posix_memalign(void** memory, size_t alignment, size_t bytes) noexcept
    {
        *memory = fails(bytes) ? nullptr : __libc_memalign(alignment, bytes);
        return *memory ? 0 : ENOMEM;
    }
}
#pragma GCC visibility pop

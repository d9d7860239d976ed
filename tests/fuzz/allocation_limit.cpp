#include "tests/fuzz/target.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace
{

thread_local size_t limit = SIZE_MAX;

void check(size_t bytes)
{
    if (bytes <= limit)
        return;
    limit = SIZE_MAX; // printing may allocate
    std::fprintf(stderr, "an allocation of %zu bytes is out of proportion to the input\n", bytes);
    std::abort();
}

} // namespace

agpnet::fuzz::AllocationLimit::AllocationLimit(size_t inputBytes)
{
    limit = 4 * inputBytes + (1 << 20);
}

agpnet::fuzz::AllocationLimit::~AllocationLimit()
{
    limit = SIZE_MAX;
}

#if defined(__has_feature) // Clang's way to ask
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

#if defined(__SANITIZE_ADDRESS__)

extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*allocated)(const volatile void*, size_t),
                                                         void (*freed)(const volatile void*));

namespace
{

const int installed = __sanitizer_install_malloc_and_free_hooks([](const volatile void*, size_t bytes) { check(bytes); },
                                                                [](const volatile void*) {});

} // namespace

#else // glibc lets a program put its own in front

extern "C"
{
    void* __libc_malloc(size_t);
    void* __libc_calloc(size_t, size_t);
    void* __libc_realloc(void*, size_t);
    void* __libc_memalign(size_t, size_t);

    void* malloc(size_t bytes) noexcept
    {
        check(bytes);
        return __libc_malloc(bytes);
    }

    void* calloc(size_t count, size_t bytes) noexcept
    {
        check(count > 0 && bytes > SIZE_MAX / count ? SIZE_MAX : count * bytes);
        return __libc_calloc(count, bytes);
    }

    void* realloc(void* memory, size_t bytes) noexcept
    {
        check(bytes);
        return __libc_realloc(memory, bytes);
    }

    int posix_memalign(void** memory, size_t alignment, size_t bytes) noexcept
    {
        check(bytes);
        *memory = __libc_memalign(alignment, bytes);
        return *memory ? 0 : ENOMEM;
    }

    void* aligned_alloc(size_t alignment, size_t bytes) noexcept
    {
        check(bytes);
        return __libc_memalign(alignment, bytes);
    }
}

#endif

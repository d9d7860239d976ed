/* Makes a process see a lesser CPU than the machine's, at full speed: LD_PRELOAD it and name the level in AGPNET_AS_CPU (scripts/as-cpu
 * does).
 *
 * Linux can have CPUID raise a fault (arch_prctl ARCH_SET_CPUID, where the CPU or the hypervisor has "cpuid_fault"). The handler here then
 * answers with what the machine says, less the features above the level. Everybody in the process who asks gets that answer: LibTorch,
 * oneDNN, MKL, OpenCV, libgcc. Not so what asked before this library was there: glibc's own choice of memcpy() and the like. Threads and
 * forks inherit the fault, exec() clears it, and this library, which the environment carries on, sets it again.
 *
 * Linked with -z initfirst, so that it is in place before the constructors of other libraries ask. */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <cpuid.h>
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum
{
    Baseline,
    Avx2,
    Avx2Vnni,
    Avx512,
    Avx512Vnni,
    Avx512Bf16,
    Amx,
    LevelCount
};

/* those of common/cpu.cpp */
static const char* const names[LevelCount] = {"baseline", "avx2", "avx2-vnni", "avx512", "avx512-vnni", "avx512-bf16", "amx"};

enum
{
    Eax,
    Ebx,
    Ecx,
    Edx
};

/* What a level brings. A feature is shown from `from` on. */
static const struct Feature
{
    uint32_t leaf, subleaf;
    int in, bit, from;
} features[] = {
    {1, 0, Ecx, 12, Avx2},       /* FMA */
    {1, 0, Ecx, 26, Avx2},       /* XSAVE */
    {1, 0, Ecx, 27, Avx2},       /* OSXSAVE */
    {1, 0, Ecx, 28, Avx2},       /* AVX */
    {1, 0, Ecx, 29, Avx2},       /* F16C */
    {7, 0, Ebx, 5, Avx2},        /* AVX2 */
    {7, 0, Ebx, 16, Avx512},     /* AVX-512 F */
    {7, 0, Ebx, 17, Avx512},     /* DQ */
    {7, 0, Ebx, 21, Avx512Vnni}, /* IFMA */
    {7, 0, Ebx, 26, Avx512},     /* PF */
    {7, 0, Ebx, 27, Avx512},     /* ER */
    {7, 0, Ebx, 28, Avx512},     /* CD */
    {7, 0, Ebx, 30, Avx512},     /* BW */
    {7, 0, Ebx, 31, Avx512},     /* VL */
    {7, 0, Ecx, 1, Avx512Vnni},  /* VBMI */
    {7, 0, Ecx, 6, Avx512Vnni},  /* VBMI2 */
    {7, 0, Ecx, 9, Avx2},        /* VAES */
    {7, 0, Ecx, 10, Avx2},       /* VPCLMULQDQ */
    {7, 0, Ecx, 11, Avx512Vnni}, /* AVX-512 VNNI */
    {7, 0, Ecx, 12, Avx512Vnni}, /* BITALG */
    {7, 0, Ecx, 14, Avx512Vnni}, /* VPOPCNTDQ */
    {7, 0, Edx, 2, Avx512Vnni},  /* 4VNNIW */
    {7, 0, Edx, 3, Avx512Vnni},  /* 4FMAPS */
    {7, 0, Edx, 8, Avx512Vnni},  /* VP2INTERSECT */
    {7, 0, Edx, 22, Amx},        /* AMX-BF16 */
    {7, 0, Edx, 23, Amx},        /* AVX-512 FP16 */
    {7, 0, Edx, 24, Amx},        /* AMX-TILE */
    {7, 0, Edx, 25, Amx},        /* AMX-INT8 */
    {7, 1, Eax, 4, Avx2Vnni},    /* AVX-VNNI, but see below */
    {7, 1, Eax, 5, Avx512Bf16},  /* AVX-512 BF16 */
    {7, 1, Eax, 21, Amx},        /* AMX-FP16 */
    {7, 1, Eax, 23, Avx2Vnni},   /* AVX-IFMA */
    {7, 1, Edx, 4, Amx},         /* AVX-VNNI-INT8 */
    {7, 1, Edx, 5, Amx},         /* AVX-NE-CONVERT */
    {7, 1, Edx, 8, Amx},         /* AMX-COMPLEX */
    {7, 1, Edx, 10, Amx},        /* AVX-VNNI-INT16 */
    {7, 1, Edx, 19, Amx},        /* AVX10 */
    {0x80000001, 0, Ecx, 11, Avx2}, /* XOP */
    {0x80000001, 0, Ecx, 16, Avx2}, /* FMA4 */
};

/* What a machine must have to be shown as a level: one feature that stands for the rest. */
static const struct Feature proofs[LevelCount] = {
    [Avx2] = {7, 0, Ebx, 5, 0},        [Avx2Vnni] = {7, 1, Eax, 4, 0},   [Avx512] = {7, 0, Ebx, 31, 0},
    [Avx512Vnni] = {7, 0, Ecx, 11, 0}, [Avx512Bf16] = {7, 1, Eax, 5, 0}, [Amx] = {7, 0, Edx, 24, 0}};

static int level = -1;
static struct sigaction theirs; /* what the program wants of a SIGSEGV that is its own */
static int (*realSigaction)(int, const struct sigaction*, struct sigaction*);
static int (*realSigprocmask)(int, const sigset_t*, sigset_t*);
static int (*realPthreadSigmask)(int, const sigset_t*, sigset_t*);

static int setFault(int faults)
{
    return (int)syscall(SYS_arch_prctl, ARCH_SET_CPUID, !faults);
}

static int shown(const struct Feature* feature)
{
    if (feature->leaf == 7 && feature->subleaf == 1 && feature->in == Eax && feature->bit == 4)
        return level == Avx2Vnni || level >= Avx512Vnni; /* the first CPUs with AVX-512 had no 8-bit products at all */
    return level >= feature->from;
}

/* Registers as this level shows them. */
static void answer(uint32_t leaf, uint32_t subleaf, uint32_t registers[4])
{
    __cpuid_count(leaf, subleaf, registers[Eax], registers[Ebx], registers[Ecx], registers[Edx]);
    if (level < Amx && (leaf == 0x1D || leaf == 0x1E || leaf == 0x24)) /* tiles, AVX10 */
        memset(registers, 0, 4 * sizeof *registers);
    for (size_t i = 0; i < sizeof features / sizeof *features; i++)
        /* leaves 1 and 0x80000001 have no subleaves: what ECX holds does not count */
        if (features[i].leaf == leaf && (leaf != 7 || features[i].subleaf == subleaf) && !shown(&features[i]))
            registers[features[i].in] &= ~(1U << features[i].bit);
}

static void passOn(int number, siginfo_t* information, void* context)
{
    if (theirs.sa_flags & SA_SIGINFO)
        theirs.sa_sigaction(number, information, context);
    else if (theirs.sa_handler != SIG_DFL && theirs.sa_handler != SIG_IGN)
        theirs.sa_handler(number);
    else
    {
        struct sigaction usual;
        memset(&usual, 0, sizeof usual);
        realSigaction(SIGSEGV, &usual, NULL); /* the instruction runs again, and ends the program */
        if (information->si_code <= 0)        /* sent by somebody, not by an instruction */
            raise(SIGSEGV);
    }
}

static void onFault(int number, siginfo_t* information, void* context)
{
    greg_t* const registers = ((ucontext_t*)context)->uc_mcontext.gregs;
    const unsigned char* const code = (const unsigned char*)registers[REG_RIP];
    /* CPUID comes as a general protection fault, which has no address; a jump to nowhere has one, and its code cannot be read */
    if (information->si_code != SI_KERNEL || code[0] != 0x0F || code[1] != 0xA2)
    {
        passOn(number, information, context);
        return;
    }
    const int kept = errno;
    uint32_t found[4];
    setFault(0);
    answer((uint32_t)registers[REG_RAX], (uint32_t)registers[REG_RCX], found);
    setFault(1);
    errno = kept;
    registers[REG_RAX] = found[Eax];
    registers[REG_RBX] = found[Ebx];
    registers[REG_RCX] = found[Ecx];
    registers[REG_RDX] = found[Edx];
    registers[REG_RIP] += 2;
}

/* The program's own handlers are kept aside, and it may not block what CPUID needs. */
int sigaction(int number, const struct sigaction* restrict wanted, struct sigaction* restrict before)
{
    if (number != SIGSEGV || level < 0)
        return realSigaction(number, wanted, before);
    const struct sigaction kept = theirs;
    if (wanted)
        theirs = *wanted;
    if (before)
        *before = kept;
    return 0;
}

sighandler_t signal(int number, sighandler_t handler)
{
    struct sigaction wanted, before;
    memset(&wanted, 0, sizeof wanted);
    wanted.sa_handler = handler;
    wanted.sa_flags = SA_RESTART;
    return sigaction(number, &wanted, &before) == 0 ? before.sa_handler : SIG_ERR;
}

static const sigset_t* without(const sigset_t* set, sigset_t* changed)
{
    if (!set)
        return NULL;
    *changed = *set;
    sigdelset(changed, SIGSEGV);
    return changed;
}

int sigprocmask(int how, const sigset_t* restrict set, sigset_t* restrict before)
{
    sigset_t changed;
    return realSigprocmask(how, how == SIG_UNBLOCK ? set : without(set, &changed), before);
}

int pthread_sigmask(int how, const sigset_t* set, sigset_t* before)
{
    sigset_t changed;
    return realPthreadSigmask(how, how == SIG_UNBLOCK ? set : without(set, &changed), before);
}

static void leave(const char* first, const char* second, const char* third)
{
    const char* const parts[] = {first, second, third, "\n"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (write(STDERR_FILENO, parts[i], strlen(parts[i])) < 0)
            break;
    _exit(125);
}

static int machineHas(const struct Feature* feature)
{
    uint32_t registers[4] = {0, 0, 0, 0};
    return feature->leaf == 0 ||
           (__get_cpuid_count(feature->leaf, feature->subleaf, &registers[Eax], &registers[Ebx], &registers[Ecx], &registers[Edx]) &&
            (registers[feature->in] >> feature->bit & 1U));
}

/* libc's own constructor has not run, so the environment comes as glibc hands it to constructors. */
__attribute__((constructor)) static void install(int argc, char** argv, char** environment)
{
    (void)argc;
    (void)argv;
    realSigaction = (int (*)(int, const struct sigaction*, struct sigaction*))dlsym(RTLD_NEXT, "sigaction");
    realSigprocmask = (int (*)(int, const sigset_t*, sigset_t*))dlsym(RTLD_NEXT, "sigprocmask");
    realPthreadSigmask = (int (*)(int, const sigset_t*, sigset_t*))dlsym(RTLD_NEXT, "pthread_sigmask");
    static const char variable[] = "AGPNET_AS_CPU=";
    const char* wanted = NULL;
    for (; *environment; environment++)
        if (strncmp(*environment, variable, sizeof variable - 1) == 0)
            wanted = *environment + sizeof variable - 1;
    if (!wanted)
        return;
    int found = 0;
    while (found < LevelCount && strcmp(wanted, names[found]) != 0)
        found++;
    if (found == LevelCount)
        leave("cpu_mask: AGPNET_AS_CPU is '", wanted, "', expected a level of common/cpu.h");
    for (int lower = 0; lower <= found; lower++)
        if (!(lower == Avx2Vnni && found > Avx2Vnni) && !machineHas(&proofs[lower]))
            leave("cpu_mask: this CPU cannot be shown as '", wanted, "', because it is less");
    level = found;
    struct sigaction own;
    memset(&own, 0, sizeof own);
    own.sa_sigaction = onFault;
    own.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART;
    if (realSigaction(SIGSEGV, &own, &theirs) != 0 || setFault(1) != 0)
        leave("cpu_mask: CPUID cannot be made to fault here, so that this CPU cannot be shown as '", wanted, "'");
}

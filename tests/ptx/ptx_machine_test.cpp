// The machine that runs PTX: what each opcode computes, how threads part and meet, and that each kind of error is found.
#include "ptx_machine.h"

#include "tests/support/error_text.h"

#include <cstring>
#include <gmock/gmock.h>
#include <set>
#include <sstream>

namespace
{

using testing::HasSubstr;

/// Instructions have a line each in PTX, but not here; what is in braces stays together.
std::string onLines(std::string body)
{
    int depth = 0;
    for (size_t at = 0; at + 1 < body.size(); at++)
    {
        depth += body[at] == '{' ? 1 : body[at] == '}' ? -1 : 0;
        if (depth == 0 && (body[at] == ';' || body[at] == '}') && body[at + 1] == ' ')
            body[at + 1] = '\n';
    }
    return body;
}

/// A kernel k(out, in, number): `%rd1` is out, `%rd2` in, `%r1` the number, `%r2` the thread, `%rd3` and `%rd4` the thread's own
/// words of out and in.
std::string kernel(const std::string& body)
{
    return R"(
.version 6.0
.target sm_70
.address_size 64
.visible .entry k(
	.param .u64 .ptr .align 1 k_param_0,
	.param .u8 k_param_1,
	.param .u64 .ptr .align 1 k_param_2,
	.param .u32 k_param_3
)
{
	.reg .pred 	%p<9>; // registers are known by their names
	ld.param.b64 	%rd1, [k_param_0];
	ld.param.b64 	%rd2, [k_param_2];
	ld.param.b8 	%rs1, [k_param_1];
	ld.param.b32 	%r1, [k_param_3];
	mov.u32 	%r2, %tid.x;
	mul.wide.u32 	%rd5, %r2, 4;
	add.s64 	%rd3, %rd1, %rd5;
	add.s64 	%rd4, %rd2, %rd5;
)" + onLines(body) +
           "\nret;\n}\n";
}

constexpr uint32_t untouched = 0xABABABABu;

struct Bench
{
    alignas(64) std::array<uint32_t, 512> out; // a sector begins with it
    std::array<uint32_t, 16> between{};        // is nobody's
    alignas(64) std::array<uint32_t, 512> in{};
    uint32_t number = 0;
    unsigned char byte = 0;
    ptx::Shape shape{{1, 1, 1}, {1, 1, 1}, 0};
    ptx::GlobalMemory memory;
    size_t bytes = 512 * 4; // of each

    Bench() { out.fill(untouched); }

    ptx::Work run(const std::string& body)
    {
        const auto begin = [](const std::array<uint32_t, 512>& words) { return reinterpret_cast<uint64_t>(words.data()); };
        memory.add(begin(out), bytes);
        memory.add(begin(in), bytes);
        std::vector<unsigned char> arguments(28);
        const uint64_t addresses[] = {begin(out), begin(in)};
        std::memcpy(&arguments[0], &addresses[0], 8);
        arguments[8] = byte;
        std::memcpy(&arguments[16], &addresses[1], 8);
        std::memcpy(&arguments[24], &number, 4);
        return ptx::run(ptx::parse(kernel(body)).at("k"), shape, arguments, memory);
    }

    std::string errorOf(const std::string& body)
    {
        return agpnet::test::errorOf([&] { run(body); });
    }
};

struct Sum
{
    const char* body; ///< result in %r9
    uint32_t result;
};

// float bits: 3F800000 1, 40000000 2, 40400000 3, 7F800000 infinity, 7FC00000 NaN, 7FFFFFFF a GPU's NaN
const Sum sums[] = {
    {"mov.u32 %r9, %ntid.x;", 1},
    {"mov.b32 %r9, 0f3F800000;", 0x3F800000u},
    {"mov.b32 %r9, -8388608;", 0xFF800000u},
    {"mov.b64 %rd9, -2; shr.u64 %rd9, %rd9, 33; cvt.u32.u64 %r9, %rd9;", 0x7FFFFFFFu},
    {"mov.b64 %rd9, 21474836487; { .reg .b32 tmp; mov.b64 {tmp, %r9}, %rd9; }", 5},
    {"cvta.to.global.u64 %rd9, 4294967301; cvt.u32.u64 %r9, %rd9;", 5},
    {"cvt.s64.s32 %rd9, -3; shr.u64 %rd9, %rd9, 32; cvt.u32.u64 %r9, %rd9;", 0xFFFFFFFFu},
    {"cvt.u64.u32 %rd9, -3; shr.u64 %rd9, %rd9, 31; cvt.u32.u64 %r9, %rd9;", 1},
    {"cvt.rn.f32.s32 %r9, -16777217;", 0xCB800000u}, // half way, to even
    {"cvt.rn.f32.s32 %r9, 16777219;", 0x4B800002u},
    {"cvt.rn.f32.u32 %r9, -1;", 0x4F800000u},
    {"mov.b32 %rs3, 131071; cvt.rn.f32.u16 %r9, %rs3;", 0x477FFF00u}, // 65535
    {"mov.b32 %rs3, 65534; cvt.rn.f32.s16 %r9, %rs3;", 0xC0000000u}, // -2
    {"cvt.rzi.s32.f32 %r9, 0fBFF33333;", 0xFFFFFFFFu},                // -1.9
    {"cvt.rzi.s32.f32 %r9, 0f3FF33333;", 1},
    {"cvt.rzi.s32.f32 %r9, 0f4F000000;", 0x7FFFFFFFu}, // 2^31 is held at the largest
    {"cvt.rzi.s32.f32 %r9, 0fCF000000;", 0x80000000u},
    {"cvt.rzi.s32.f32 %r9, 0fFF800000;", 0x80000000u},
    {"cvt.rzi.s32.f32 %r9, 0f7FC00000;", 0},
    {"cvt.rmi.ftz.f32.f32 %r9, 0fBFC00000;", 0xC0000000u}, // -1.5
    {"cvt.rmi.ftz.f32.f32 %r9, 0f3FC00000;", 0x3F800000u},
    {"cvt.rmi.ftz.f32.f32 %r9, 0f80000001;", 0x80000000u}, // a subnormal is nothing
    {"cvt.rmi.ftz.f32.f32 %r9, 0fFFC00001;", 0x7FFFFFFFu},

    {"add.s32 %r9, 2147483647, 1;", 0x80000000u},
    {"sub.s32 %r9, 3, 5;", 0xFFFFFFFEu},
    {"neg.s32 %r9, 5;", 0xFFFFFFFBu},
    {"abs.s32 %r9, -5;", 5},
    {"abs.s32 %r9, -2147483648;", 0x80000000u},
    {"mul.lo.s32 %r9, 65537, 65537;", 0x00020001u},
    {"mad.lo.s32 %r9, -3, 5, 7;", 0xFFFFFFF8u},
    {"mul.wide.s32 %rd9, -3, 5; shr.u64 %rd9, %rd9, 16; cvt.u32.u64 %r9, %rd9;", 0xFFFFFFFFu},
    {"mul.wide.u32 %rd9, -1, 3; shr.u64 %rd9, %rd9, 32; cvt.u32.u64 %r9, %rd9;", 2},
    {"mul.wide.u32 %rd9, -766435501, -845247145; shr.u64 %rd9, %rd9, 32; cvt.u32.u64 %r9, %rd9;",
     static_cast<uint32_t>(0xD2511F53ull * 0xCD9E8D57ull >> 32)},
    {"div.s32 %r9, -7, 2;", 0xFFFFFFFDu}, // towards zero
    {"div.s32 %r9, 7, -2;", 0xFFFFFFFDu},
    {"div.s32 %r9, -2147483648, -1;", 0x80000000u},
    {"div.u32 %r9, -7, 2;", 0x7FFFFFFCu},
    {"rem.s32 %r9, -7, 2;", 0xFFFFFFFFu}, // the sign of what is divided
    {"rem.s32 %r9, 7, -2;", 1},
    {"rem.s32 %r9, -2147483648, -1;", 0},
    {"rem.u32 %r9, -7, 10;", 9},
    {"min.s32 %r9, -1, 1;", 0xFFFFFFFFu},
    {"min.u32 %r9, -1, 1;", 1},
    {"mov.b32 %rs3, 131071; mul.wide.u16 %r9, %rs3, 65535;", 0xFFFE0001u},
    {"max.s32 %r9, -1, 1;", 1},
    {"max.u32 %r9, -1, 1;", 0xFFFFFFFFu},
    {"mov.b64 %rd9, 4294967295; add.s64 %rd9, %rd9, 4294967297; shr.u64 %rd9, %rd9, 32; cvt.u32.u64 %r9, %rd9;", 2}, // carries

    {"mov.b32 %rs3, 13; and.b16 %rs3, %rs3, 6; cvt.rn.f32.u16 %r9, %rs3;", 0x40800000u},
    {"and.b32 %r9, 12, 10;", 8},
    {"or.b32 %r9, 12, 10;", 14},
    {"xor.b32 %r9, 12, 10;", 6},
    {"mov.b64 %rd9, 21474836480; or.b64 %rd9, %rd9, 8589934592; shr.u64 %rd9, %rd9, 32; cvt.u32.u64 %r9, %rd9;", 7},
    {"mov.b32 %rs3, 65287; cvt.u16.u8 %rs3, %rs3; cvt.rn.f32.u16 %r9, %rs3;", 0x40E00000u}, // 7: the low byte of it
    {"mov.b32 %rs3, 65539; setp.eq.b16 %p1, %rs3, 3; selp.b32 %r9, 1, 0, %p1;", 1},
    // with types where none matters
    {"mov.f32 %r1, 0f40000000; mov.u32 %r2, 5; setp.ne.s32 %p1, %r2, 6; selp.u32 %r9, %r1, %r2, %p1;", 0x40000000u},
    {"mov.u64 %rd9, -1; setp.eq.s32 %p1, 4, 5; selp.s32 %r9, 1, 2, %p1;", 2},
    {"mov.b64 %rd9, 21474836480; xor.b64 %rd9, %rd9, 12884901888; shr.u64 %rd9, %rd9, 32; cvt.u32.u64 %r9, %rd9;", 6},
    {"not.b32 %r9, 1;", 0xFFFFFFFEu},
    {"shl.b32 %r9, 3, 31;", 0x80000000u},
    {"shl.b32 %r9, 3, 32;", 0}, // shifts beyond the width take all bits
    {"shl.b32 %r9, 3, -1;", 0},
    {"mov.b64 %rd9, 3; shl.b64 %rd9, %rd9, 31; shr.u64 %rd9, %rd9, 32; cvt.u32.u64 %r9, %rd9;", 1},
    {"shr.s32 %r9, -8, 1;", 0xFFFFFFFCu},
    {"shr.s32 %r9, -8, 33;", 0xFFFFFFFFu},
    {"shr.u32 %r9, -8, 1;", 0x7FFFFFFCu},
    {"shr.u32 %r9, -8, 33;", 0},
    {"mov.b64 %rd9, -1; shr.u64 %rd9, %rd9, 64; cvt.u32.u64 %r9, %rd9;", 0},

    {"add.f32 %r9, 0f3F800000, 0f33800000;", 0x3F800000u}, // 1 + 2^-24, to even
    {"add.f32 %r9, 0f00000001, 0f00000001;", 2},           // subnormals count
    {"add.f32 %r9, 0f7F800000, 0fFF800000;", 0x7FFFFFFFu},
    {"sub.f32 %r9, 0f40000000, 0f40400000;", 0xBF800000u},
    {"mul.f32 %r9, 0f40400000, 0fC0400000;", 0xC1100000u},
    {"mul.f32 %r9, 0fFFC00123, 0f3F800000;", 0x7FFFFFFFu},                // one NaN for all
    {"fma.rn.f32 %r9, 0f3F800001, 0f3F800001, 0fBF800002;", 0x28800000u}, // exact between
    {"div.rn.f32 %r9, 0f3F800000, 0f40400000;", 0x3EAAAAABu},
    {"div.rn.f32 %r9, 0f3F800000, 0f80000000;", 0xFF800000u},
    {"sqrt.rn.f32 %r9, 0f40000000;", 0x3FB504F3u},
    {"sqrt.rn.f32 %r9, 0fBF800000;", 0x7FFFFFFFu},
    {"neg.f32 %r9, 0f00000000;", 0x80000000u},
    {"neg.f32 %r9, 0fC0000000;", 0x40000000u},
    {"min.f32 %r9, 0f7FC00000, 0f40000000;", 0x40000000u}, // a number goes before NaN
    {"min.f32 %r9, 0f40000000, 0f7FC00000;", 0x40000000u},
    {"min.f32 %r9, 0f7FC00000, 0fFFC00000;", 0x7FFFFFFFu},
    {"min.f32 %r9, 0f00000000, 0f80000000;", 0x80000000u}, // -0 before +0
    {"min.f32 %r9, 0f3F800000, 0fC0000000;", 0xC0000000u},
    {"max.f32 %r9, 0f7FC00000, 0f40000000;", 0x40000000u},
    {"max.f32 %r9, 0f80000000, 0f00000000;", 0},
    {"max.f32 %r9, 0f3F800000, 0fC0000000;", 0x3F800000u},

    {"mov.b32 %rs3, 65539; setp.ne.b16 %p1, %rs3, 3; selp.b32 %r9, 1, 0, %p1;", 0}, // 16 bits of it
    {"setp.eq.f32 %p1, 0f00000000, 0f80000000; selp.b32 %r9, 1, 0, %p1;", 1},
    {"setp.eq.f32 %p1, 0f7FC00000, 0f7FC00000; selp.b32 %r9, 1, 0, %p1;", 0}, // NaN is none of these
    {"setp.lt.f32 %p1, 0f7FC00000, 0f3F800000; selp.b32 %r9, 1, 0, %p1;", 0},
    {"setp.gt.f32 %p1, 0f3F800000, 0f7FC00000; selp.b32 %r9, 1, 0, %p1;", 0},
    {"setp.ge.f32 %p1, 0f7FC00000, 0f7FC00000; selp.b32 %r9, 1, 0, %p1;", 0},
    {"setp.eq.b32 %p1, 1, 1; selp.f32 %r9, 0f40000000, 0f40400000, %p1;", 0x40000000u},
    {"setp.eq.b32 %p1, 1, 1; setp.eq.b32 %p2, 1, 2; and.pred %p3, %p1, %p2; or.pred %p4, %p1, %p2; selp.b32 %r8, 1, 0, %p3; "
     "selp.b32 %r9, 10, %r8, %p4;",
     10},
    {"setp.eq.b32 %p1, 1, 1; setp.eq.b32 %p2, 1, 2; and.pred %p3, %p1, %p2; or.pred %p4, %p2, %p3; selp.b32 %r9, 10, 20, %p4;",
     20},
};

struct Comparison
{
    const char* opcode;
    bool lessMore, same, moreLess; ///< of -1 and 1, 1 and 1, 1 and -1
};

const Comparison comparisons[] = {
    {"setp.eq.b32", false, true, false}, {"setp.ne.b32", true, false, true}, {"setp.ne.b16", true, false, true},
    {"setp.lt.s16", true, false, false}, {"setp.lt.u16", false, false, true}, {"setp.lt.s32", true, false, false},
    {"setp.le.s32", true, true, false}, {"setp.gt.s32", false, false, true}, {"setp.ge.s32", false, true, true},
    {"setp.lt.u32", false, false, true}, {"setp.gt.u32", true, false, false}, {"setp.ge.u32", true, true, false},
    {"setp.eq.f32", false, true, false}, {"setp.lt.f32", true, false, false}, {"setp.gt.f32", false, false, true},
    {"setp.ge.f32", false, true, true},
};

TEST(PtxMachine, ComputesEachOpcode)
{
    std::set<std::string> opcodes;
    for (const Comparison& comparison : comparisons)
    {
        const bool isFloat = std::string(comparison.opcode).find("f32") != std::string::npos;
        const std::string more = isFloat ? "0f3F800000" : "1", less = isFloat ? "0fBF800000" : "-1";
        const auto holds = [&](const std::string& first, const std::string& second)
        {
            Bench bench;
            bench.run(fmt::format("{} %p1, {}, {}; selp.b32 %r9, 1, 0, %p1; st.global.b32 [%rd1], %r9;", comparison.opcode, first,
                                  second));
            return bench.out[0] == 1;
        };
        EXPECT_EQ(holds(less, more), comparison.lessMore) << comparison.opcode;
        EXPECT_EQ(holds(more, more), comparison.same) << comparison.opcode;
        EXPECT_EQ(holds(more, less), comparison.moreLess) << comparison.opcode;
        opcodes.insert(comparison.opcode);
    }
    for (const Sum& sum : sums)
    {
        Bench bench;
        bench.run(std::string(sum.body) + " st.global.b32 [%rd1], %r9;");
        EXPECT_EQ(bench.out[0], sum.result) << sum.body;
        std::istringstream lines(onLines(sum.body));
        for (std::string line; std::getline(lines, line);)
            opcodes.insert(line[0] == '{' ? "mov.b64.high" : line.substr(0, line.find(' ')));
    }
    for (const auto& [opcode, operation] : ptx::operations())
        EXPECT_TRUE(opcodes.count(std::string(opcode))) << opcode << " has no line in the table";
}

TEST(PtxMachine, KnowsWhereAThreadIs)
{
    Bench bench;
    bench.shape = {{2, 3, 2}, {5, 2, 2}, 0};
    bench.run(
        "mov.u32 %r3, %tid.y; mov.u32 %r4, %tid.z; mad.lo.s32 %r5, %r4, 2, %r3; mad.lo.s32 %r5, %r5, 5, %r2; " // 0 to 19
        "mov.u32 %r6, %ctaid.x; mov.u32 %r7, %ctaid.y; mov.u32 %r8, %ctaid.z; mov.u32 %r10, %nctaid.x; mov.u32 %r11, %nctaid.y; "
        "mad.lo.s32 %r12, %r8, %r11, %r7; mad.lo.s32 %r12, %r12, %r10, %r6; mad.lo.s32 %r13, %r12, 20, %r5; " // 0 to 239
        "mul.wide.u32 %rd6, %r13, 4; add.s64 %rd7, %rd1, %rd6; st.global.b32 [%rd7], %r13;");
    for (uint32_t i = 0; i < 240; i++)
        EXPECT_EQ(bench.out[i], i);
    EXPECT_EQ(bench.out[240], untouched);
}

TEST(PtxMachine, TakesArgumentsAndNarrowLoads)
{
    Bench bench;
    bench.number = 0xFFFFFFFEu;
    bench.byte = 0xC3;
    bench.in[0] = 0x8081C2F4u;
    bench.run("st.global.b32 [%rd1], %r1; cvt.rn.f32.u16 %r3, %rs1; st.global.b32 [%rd1+4], %r3; ld.global.nc.b8 %rs2, [%rd2+3]; "
              "cvt.rn.f32.u16 %r4, %rs2; "
              "st.global.b32 [%rd1+8], %r4; ld.global.nc.b16 %rs3, [%rd2+2]; cvt.rn.f32.u16 %r5, %rs3; st.global.b32 [%rd1+12], "
              "%r5; add.s64 %rd6, %rd2, 8; "
              "ld.global.b32 %r6, [%rd6+-8]; st.global.b32 [%rd1+16], %r6;");
    const float expected[] = {195, 128, 32897};
    EXPECT_EQ(bench.out[0], 0xFFFFFFFEu);
    EXPECT_EQ(std::memcmp(&bench.out[1], expected, sizeof expected), 0);
    EXPECT_EQ(bench.out[4], 0x8081C2F4u);
}

TEST(PtxMachine, TakesSignedBytes)
{
    Bench bench;
    bench.in[0] = 0x8081C27Fu;
    bench.run("ld.global.nc.s8 %rs2, [%rd2+3]; cvt.rn.f32.s16 %r4, %rs2; st.global.b32 [%rd1], %r4; ld.global.nc.s8 %rs3, [%rd2]; "
              "cvt.rn.f32.s16 %r5, %rs3; st.global.b32 [%rd1+4], %r5;");
    const float expected[] = {-128, 127};
    EXPECT_EQ(std::memcmp(bench.out.data(), expected, sizeof expected), 0);
}

TEST(PtxMachine, LanesPartAndMeet)
{
    // Thread t goes t % 3 times round a loop whose body lies after its end, and adds 10 in odd threads, 100 in even ones each
    // time.
    const std::string loop =
        "rem.u32 %r4, %r2, 3; and.b32 %r5, %r2, 1; setp.eq.b32 %p1, %r5, 0; mov.b32 %r6, 0; bra.uni $head;\n"
        "$done: \nst.global.b32 [%rd3], %r6; ret;\n"
        "$latch: \nadd.s32 %r4, %r4, -1;\n"
        "$head: \nsetp.lt.s32 %p2, %r4, 1; @%p2 bra $done; @!%p1 bra $odd; add.s32 %r6, %r6, 100; bra.uni $latch;\n"
        "$odd: \nadd.s32 %r6, %r6, 10; bra.uni $latch;";
    Bench bench;
    bench.shape.block = {45, 1, 1};
    const ptx::Work work = bench.run(loop);
    for (uint32_t t = 0; t < 45; t++)
        EXPECT_EQ(bench.out[t], t % 3 * (t % 2 == 0 ? 100 : 10)) << t;
    EXPECT_EQ(bench.out[45], untouched);
    // both warps: 8 of arguments, 5, twice round (3 at the head, 4 of two sides, 1 at the latch), out of it (2), 2 at the end
    EXPECT_EQ(work.warpInstructions, 2u * (8 + 5 + 2 * (3 + 4 + 1) + 2 + 2));
}

TEST(PtxMachine, SharedMemoryAndBarriers)
{
    // turns a block's words round; the second time the memory is used again
    const std::string body = "st.shared.b32 [%rd5], %r2; bar.sync 0; mov.u32 %r3, %ntid.x; sub.s32 %r3, %r3, 1; sub.s32 %r3, "
                             "%r3, %r2; mul.wide.u32 %rd6, %r3, 4; "
                             "ld.shared.b32 %r4, [%rd6]; bar.sync 0; add.s32 %r4, %r4, 7; st.shared.b32 [%rd6], %r4; bar.sync 0; "
                             "ld.shared.b32 %r5, [%rd5]; "
                             "st.global.b32 [%rd3], %r5;";
    Bench bench;
    bench.shape = {{3, 1, 1}, {100, 1, 1}, 400};
    bench.run(body);
    for (uint32_t t = 0; t < 100; t++)
        EXPECT_EQ(bench.out[t], t + 7);
}

TEST(PtxMachine, MovesSeveralWordsAtOnce)
{
    Bench two;
    two.shape = {{1, 1, 1}, {1, 1, 1}, 16};
    two.run("st.shared.v2.b32 [%rd5+8], {5, 6}; ld.shared.v2.b32 {%r3, %r4}, [%rd5+8]; st.global.b32 [%rd1], %r3; st.global.b32 [%rd1+4], "
            "%r4;");
    EXPECT_EQ(two.out[0], 5u);
    EXPECT_EQ(two.out[1], 6u);
    EXPECT_EQ(two.out[2], untouched);
    Bench bench;
    bench.shape = {{1, 1, 1}, {40, 1, 1}, 656};
    bench.run("mul.wide.u32 %rd6, %r2, 16; add.s32 %r3, %r2, 100; st.shared.v4.b32 [%rd6+16], {%r2, 7, %r3, 9}; bar.sync 0; "
              "ld.shared.b32 %r4, [%rd5+336]; st.global.b32 [%rd3], %r4; " // the words from the 80th on
              "xor.b64 %rd7, %rd6, 16; ld.shared.v4.b32 {%r5, %r6, %r7, %r8}, [%rd7+16]; mad.lo.s32 %r9, %r5, 1000, %r7; "
              "mad.lo.s32 %r9, %r6, 1000000, %r9; mad.lo.s32 %r9, %r8, 100000000, %r9; st.global.b32 [%rd3+512], %r9;");
    for (uint32_t t = 0; t < 40; t++)
    {
        EXPECT_EQ(bench.out[t], t % 4 == 0 ? 20 + t / 4 : t % 4 == 1 ? 7 : t % 4 == 2 ? 120 + t / 4 : 9) << t;
        EXPECT_EQ(bench.out[128 + t], 900000000 + 7000000 + 1000 * (t ^ 1) + 100 + (t ^ 1)) << t;
    }
}

TEST(PtxMachine, CountsWhatIsMoved)
{
    const struct
    {
        const char* body;
        uint64_t asked, moved, touched;
    } rows[] = {
        {"ld.global.b32 %r3, [%rd4];", 128, 128, 128},
        {"ld.global.b32 %r3, [%rd4+4];", 128, 160, 160},
        {"ld.global.b32 %r3, [%rd2];", 128, 32, 32},
        {"mul.wide.u32 %rd6, %r2, 32; add.s64 %rd7, %rd2, %rd6; ld.global.b32 %r3, [%rd7];", 128, 1024, 1024},
        {"and.b32 %r3, %r2, 1; mul.wide.u32 %rd6, %r3, 32; add.s64 %rd7, %rd2, %rd6; ld.global.b32 %r4, [%rd7];", 128, 64,
         64}, // to and fro
        {"ld.global.b32 %r3, [%rd4]; ld.global.nc.b32 %r3, [%rd4];", 256, 256, 128},
        {"ld.global.b32 %r3, [%rd4]; st.global.b32 [%rd4], %r3;", 256, 256, 256}, // there and back
        {"setp.lt.u32 %p1, %r2, 9; @%p1 bra $load; ret;\n$load: \nld.global.b32 %r3, [%rd4];", 36, 64, 64},
    };
    for (const auto& row : rows)
    {
        Bench bench;
        bench.shape.block = {32, 1, 1};
        const ptx::Work work = bench.run(row.body);
        EXPECT_EQ(work.asked, row.asked) << row.body;
        EXPECT_EQ(work.moved, row.moved) << row.body;
        EXPECT_EQ(work.touched, row.touched) << row.body;
    }
}

struct Case
{
    const char* body;
    unsigned threads, sharedBytes;
    const char* sentence; ///< null: it runs
    unsigned blocks = 1;
};

void expect(const std::vector<Case>& cases)
{
    for (const Case& each : cases)
    {
        Bench bench;
        bench.shape = {{each.blocks, 1, 1}, {each.threads, 1, 1}, each.sharedBytes};
        const std::string error = bench.errorOf(each.body);
        EXPECT_THAT(error, HasSubstr(each.sentence ? each.sentence : "no error")) << each.body;
    }
}

TEST(PtxMachine, FindsWrongAddresses)
{
    expect({
        {"st.global.b32 [%rd3], 1;", 512, 0, nullptr},
        {"st.global.b32 [%rd3], 1;", 513, 0,
         "line 21 \"st.global.b32 [%rd3], 1\": thread (512, 0, 0) of block (0, 0, 0) at address"},
        {"ld.global.b32 %r3, [%rd2+-4];", 1, 0, "outside all allocations"},
        {"ld.global.nc.b8 %rs3, [%rd2+2047];", 1, 0, nullptr},
        {"ld.global.nc.b8 %rs3, [%rd2+2048];", 1, 0, "outside all allocations"},
        {"ld.global.b32 %r3, [%rd2+2];", 1, 0, "is not a multiple of 4"},
        {"mov.b64 %rd6, -4; ld.global.b32 %r3, [%rd6];", 1, 0, "outside all allocations"},
        {"mov.b64 %rd6, 0; ld.global.b32 %r3, [%rd6];", 1, 0, "outside all allocations"},
        {"st.shared.b32 [%rd5], 1;", 4, 16, nullptr},
        {"st.shared.b32 [%rd5], 1;", 5, 16,
         "thread (4, 0, 0) of block (0, 0, 0) at shared address 16, which is outside the block's 16 bytes"},
        {"st.shared.b32 [%rd5+-4], 1;", 1, 16, "at shared address -4, which is outside"},
        {"st.shared.b32 [%rd5+1], 1;", 1, 16, "is not a multiple of 4"},
        {"st.shared.v4.b32 [%rd5], {1, 2, 3, 4};", 1, 16, nullptr},
        {"st.shared.v4.b32 [%rd5], {1, 2, 3, 4};", 1, 12, "at shared address 0, which is outside the block's 12 bytes"},
        {"st.shared.v2.b32 [%rd5+4], {1, 2};", 1, 32, "is not a multiple of 8"},
        {"st.shared.v4.b32 [%rd5+8], {1, 2, 3, 4};", 1, 32, "at shared address 8, which is not a multiple of 16"},
    });
    ptx::GlobalMemory memory;
    memory.add(1024, 64);
    memory.add(4096, 64);
    EXPECT_TRUE(memory.find(1024, 64));
    EXPECT_FALSE(memory.find(1024, 65));
    EXPECT_TRUE(memory.find(4096 + 60, 4));
    EXPECT_FALSE(memory.find(~uint64_t{3}, 4));
    memory.remove(4096);
    EXPECT_FALSE(memory.find(4096, 4)) << "it has been given back";
}

TEST(PtxMachine, FindsRacesInSharedMemory)
{
    expect({
        {"st.shared.b32 [%rd5], 1; ld.shared.b32 %r3, [%rd5]; st.shared.b32 [%rd5], 2;", 64, 256, nullptr}, // each its own
        {"mov.b64 %rd6, 0; st.shared.v4.b32 [%rd6], {1, 2, 3, 4}; ld.shared.b32 %r3, [%rd6+12];", 1, 256, nullptr},
        {"mov.b64 %rd6, 0; setp.eq.b32 %p1, %r2, 1; @%p1 bra $one; st.shared.v4.b32 [%rd6], {1, 2, 3, 4}; ret;\n$one: \nst.shared.b32 "
         "[%rd6+12], 1;",
         2, 256, "thread (0, 0, 0) of block (0, 0, 0) at shared address 12 races with thread (1, 0, 0)"},
        {"mov.b64 %rd6, 0; st.shared.b32 [%rd6], 1;", 2, 256,
         "thread (1, 0, 0) of block (0, 0, 0) at shared address 0 races with thread (0, 0, 0)"},
        {"st.shared.b32 [%rd5], 1; xor.b64 %rd6, %rd5, 4; ld.shared.b32 %r3, [%rd6];", 2, 256, "races with"}, // of one warp
        {"st.shared.b32 [%rd5], 1; bar.sync 0; st.shared.b32 [%rd5], 2; xor.b64 %rd6, %rd5, 128; ld.shared.b32 %r3, [%rd6];", 64,
         256, "races with"},
        {"st.shared.b32 [%rd5], 1; bar.sync 0; xor.b64 %rd6, %rd5, 128; ld.shared.b32 %r3, [%rd6];", 64, 256, nullptr},
        {"st.shared.b32 [%rd5], 1; bar.sync 0; xor.b64 %rd6, %rd5, 128; ld.shared.b32 %r3, [%rd6]; st.shared.b32 [%rd5], 2;", 64,
         256, "races with"}, // read, then written
        {"st.shared.b32 [%rd5], 1; bar.sync 0; mov.b64 %rd6, 0; ld.shared.b32 %r3, [%rd6]; setp.eq.b32 %p1, %r2, 63; @%p1 bra "
         "$write; ret;\n$write: \n"
         "st.shared.b32 [%rd6], 2;",
         64, 256, "races with"}, // the writer read it too, first of all or last
        {"st.shared.b32 [%rd5], 1; bar.sync 0; mov.b64 %rd6, 0; ld.shared.b32 %r3, [%rd6]; bar.sync 0; setp.eq.b32 %p1, %r2, 63; "
         "@%p1 bra $write; ret;\n$write: \n"
         "st.shared.b32 [%rd6], 2;",
         64, 256, nullptr},
    });
}

TEST(PtxMachine, FindsSharedMemoryThatWasNotWritten)
{
    expect({
        {"ld.shared.b32 %r3, [%rd5];", 1, 16, "at shared address 0, which the block has not written"},
        {"st.shared.b32 [%rd5], 1; ld.shared.b32 %r3, [%rd5+4];", 1, 16, "at shared address 4, which the block has not written"},
        {"st.shared.b32 [%rd5], 1; st.shared.b32 [%rd5+4], 1; ld.shared.v4.b32 {%r3, %r4, %r5, %r6}, [%rd5];", 1, 16,
         "at shared address 8, which the block has not written"},
        // the block before has
        {"mov.u32 %r3, %ctaid.x; setp.eq.b32 %p1, %r3, 0; @%p1 bra $write; bra.uni $read;\n$write: \nst.shared.b32 [%rd5], "
         "1;\n$read: \nld.shared.b32 %r4, [%rd5];",
         1, 16, "thread (0, 0, 0) of block (1, 0, 0) at shared address 0, which the block has not written", 2},
    });
}

TEST(PtxMachine, FindsBarriersThatNotAllComeTo)
{
    const char* const some =
        "setp.lt.u32 %p1, %r2, 32; @%p1 bra $wait; bra.uni $on;\n$wait: \nbar.sync 0;\n$on: \nmov.b32 %r3, 1;";
    expect({
        {some, 32, 0, nullptr},
        {some, 33, 0, "thread (0, 0, 0) of block (0, 0, 0) waits for thread (32, 0, 0), which has returned"},
        {"setp.eq.b32 %p1, %r2, 3; @%p1 bra $wait; bra.uni $on;\n$wait: \nbar.sync 0;\n$on: \nmov.b32 %r3, 1;", 4, 0,
         "\"bar.sync 0\": thread (3, 0, 0) of block (0, 0, 0) waits for thread (0, 0, 0), which has gone another way"},
        {"setp.eq.b32 %p1, %r2, 3; @%p1 bra $out; bar.sync 0; ret;\n$out: \nmov.b32 %r3, 1;", 4, 0,
         "waits for thread (3, 0, 0), which has"},
        {"setp.lt.u32 %p1, %r2, 32; @%p1 bra $one; bar.sync 0; bra.uni $on;\n$one: \nbar.sync 0;\n$on: \nmov.b32 %r3, 1;", 64, 0,
         "waits for thread (32, 0, 0), which waits at line"},
        {"setp.lt.u32 %p1, %r2, 32; @%p1 bra $twice; bra.uni $once;\n$twice: \nbar.sync 0;\n$once: \nbar.sync 0;", 64, 0,
         "which waits at line"},
    });
}

TEST(PtxMachine, FindsRacesInGlobalMemory)
{
    expect({
        {"st.global.b32 [%rd1], 7;", 64, 0, nullptr, 3}, // all the same
        {"st.global.b32 [%rd1], %r2;", 2, 0, "thread (1, 0, 0) of block (0, 0, 0) at address"},
        {"mov.u32 %r3, %ctaid.x; st.global.b32 [%rd1], %r3;", 1, 0, "races with thread (0, 0, 0) of block (0, 0, 0)", 2},
        {"ld.global.b32 %r3, [%rd3]; add.s32 %r3, %r3, 1; st.global.b32 [%rd3], %r3; ld.global.b32 %r4, [%rd3];", 64, 0,
         nullptr}, // each its own, there and back
        {"st.global.b32 [%rd3], %r2; ld.global.b32 %r3, [%rd1];", 2, 0, "thread (1, 0, 0) of block (0, 0, 0) at address"},
        {"st.global.b32 [%rd3], %r2; bar.sync 0; ld.global.b32 %r3, [%rd1];", 2, 0,
         "races with thread (0, 0, 0)"}, // another block might; this is not told apart
        {"ld.global.b32 %r3, [%rd1]; st.global.b32 [%rd3], 7;", 2, 0,
         "thread (0, 0, 0) of block (0, 0, 0) at address"}, // read, then written
        {"st.global.b32 [%rd3], 7; ld.global.nc.b32 %r3, [%rd3];", 1, 0, ".nc may read what was there before"},
    });
    Bench bench; // another launch is another time
    bench.shape.block = {64, 1, 1};
    bench.run("st.global.b32 [%rd3], %r2;");
    EXPECT_EQ(bench.errorOf("ld.global.nc.b32 %r3, [%rd1]; xor.b64 %rd6, %rd3, 4; ld.global.b32 %r3, [%rd6];"), "no error");
}

TEST(PtxMachine, NamesWhatItDoesNotKnow)
{
    const auto errorOf = [](const std::string& text) { return agpnet::test::errorOf([&] { ptx::parse(text); }); };
    EXPECT_EQ(errorOf(kernel("popc.b32 %r3, %r2;")),
              "kernel k, line 21 \"popc.b32 %r3, %r2\": the opcode popc.b32 is unknown here");
    EXPECT_THAT(errorOf(kernel("ld.global.v4.b32 %r3, [%rd1];")), HasSubstr("the opcode ld.global.v4.b32 is unknown here"));
    EXPECT_THAT(errorOf(kernel("st.shared.v4.b32 [%rd5], {1, 2, 3};")), HasSubstr("has 4 operands; expected 5"));
    EXPECT_THAT(errorOf(kernel("st.shared.v4.b32 [%rd5], 1, 2, 3, 4};")), HasSubstr("4 words are to be in braces"));
    EXPECT_THAT(errorOf(kernel("st.shared.v4.b32 [%rd5], {1, 2, 3, 4;")), HasSubstr("4 words are to be in braces"));
    EXPECT_THAT(errorOf(kernel("ld.shared.v4.b32 {%r3, %r4, %r5, %r6, [%rd5];")), HasSubstr("4 words are to be in braces"));
    EXPECT_THAT(errorOf(kernel("@%p1 mov.b32 %r3, 1;")), HasSubstr("only bra may have a predicate here"));
    EXPECT_THAT(errorOf(kernel("bar.sync 1;")), HasSubstr("only barrier 0 is known here"));
    EXPECT_THAT(errorOf(kernel("add.s32 %r3, %r2;")), HasSubstr("has 2 operands; expected 3"));
    EXPECT_THAT(errorOf(kernel("mov.b32 %r3, many;")), HasSubstr("\"many\" is not a register or a number"));
    EXPECT_THAT(errorOf(kernel("mov.b32 %r3, 12x;")), HasSubstr("\"12x\" is not a register or a number"));
    EXPECT_THAT(errorOf(kernel("bra $away;")), HasSubstr("there is no label $away"));
    EXPECT_THAT(errorOf(kernel("ld.param.b32 %r3, [k_param_9];")), HasSubstr("there is no parameter k_param_9"));
    EXPECT_THAT(errorOf(kernel("ld.global.b32 %r3, %rd1;")), HasSubstr("%rd1 is not an address"));
    EXPECT_THAT(errorOf(".shared .align 4 .b8 table[16];"),
                HasSubstr("expected an instruction, or a directive that is known here"));
    EXPECT_THAT(errorOf(kernel("$end:")), "no error");
    EXPECT_THAT(errorOf(".visible .entry k(\n)\n{\nmov.b32 %r1, 0;\n}\n"), HasSubstr("kernel k does not end with ret or bra"));
    EXPECT_THAT(errorOf(".visible .entry k(\n)\n{\nret;\n"), HasSubstr("kernel k does not end"));
}

} // namespace

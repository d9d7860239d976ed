// Each row is total: it also has a result for operands of lanes that are masked out, which may hold anything.
#include "ptx_arithmetic.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <type_traits>
#include <utility>

namespace ptx
{
namespace
{

using std::bit_cast;
using i32 = int32_t;
using i64 = int64_t;
using i16 = int16_t;
using u16 = uint16_t;
using u32 = uint32_t;
using u64 = uint64_t;

template <class T>
T get(const Register& from, int lane)
{
    if constexpr (std::is_same_v<T, float>)
        return bit_cast<float>(from.low[lane]);
    else if constexpr (sizeof(T) == 8)
        return static_cast<T>(u64{from.high[lane]} << 32 | from.low[lane]);
    else
        return static_cast<T>(from.low[lane]);
}

template <auto operation, class R, class... T, size_t... k>
void overLanes(Register* registers, int to, const int* from, Mask mask, R (*)(T...), std::index_sequence<k...>)
{
    Register result; // apart from the operands, so that the compiler may use vectors
    for (int lane = 0; lane < lanes; lane++)
    {
        const R value = operation(get<T>(registers[from[k]], lane)...);
        if constexpr (std::is_same_v<R, float>)
            result.low[lane] = bit_cast<u32>(value);
        else
            result.low[lane] = static_cast<u32>(value);
        if constexpr (sizeof(R) == 8)
            result.high[lane] = static_cast<u32>(static_cast<u64>(value) >> 32);
    }
    Register& target = registers[to];
    const auto keep = [mask](u32* whole, const u32* computed)
    {
        if (mask == ~Mask{0})
            std::memcpy(whole, computed, lanes * sizeof(u32));
        else
            for (int lane = 0; lane < lanes; lane++)
                whole[lane] = mask >> lane & 1 ? computed[lane] : whole[lane];
    };
    keep(target.low, result.low);
    if constexpr (sizeof(R) == 8)
        keep(target.high, result.high);
}

template <class R, class... T>
constexpr int operandsOf(R (*)(T...))
{
    return sizeof...(T);
}

template <auto operation>
constexpr Operation row = {[](Register* registers, int to, const int* from, Mask mask)
                           {
                               overLanes<operation>(registers, to, from, mask, +operation,
                                                    std::make_index_sequence<static_cast<size_t>(operandsOf(+operation))>());
                           },
                           operandsOf(+operation)};

/// A GPU has one NaN for results; a CPU hands on its operand's, or has one of the other sign.
float one(float value)
{
    return value == value ? value : bit_cast<float>(0x7FFFFFFFu);
}

/// A number goes before NaN, and -0 comes before +0.
float least(float a, float b)
{
    if (a != a || b != b)
        return one(a == a ? a : b);
    return a == b ? bit_cast<float>(bit_cast<u32>(a) | bit_cast<u32>(b)) : std::min(a, b);
}

float most(float a, float b)
{
    if (a != a || b != b)
        return one(a == a ? a : b);
    return a == b ? bit_cast<float>(bit_cast<u32>(a) & bit_cast<u32>(b)) : std::max(a, b);
}

/// By zero PTX leaves the result open; Halide does not use it. All bits, as GPUs have it.
template <class T>
T quotient(T a, T b)
{
    if (b == 0)
        return static_cast<T>(-1);
    if (std::is_signed_v<T> && b == static_cast<T>(-1))
        return static_cast<T>(0u - static_cast<u32>(a)); // the least number has no opposite; CPUs trap
    return a / b;
}

template <class T>
T remainder(T a, T b)
{
    if (b == 0)
        return a;
    return std::is_signed_v<T> && b == static_cast<T>(-1) ? 0 : a % b;
}

/// Shifts by more than all bits are by all bits.
template <class T>
T left(T a, u32 by)
{
    return by < 8 * sizeof(T) ? static_cast<T>(a << by) : 0;
}

template <class T>
T right(T a, u32 by)
{
    constexpr u32 bits = 8 * sizeof(T);
    return std::is_signed_v<T> ? a >> std::min(by, bits - 1) : by < bits ? a >> by : 0;
}

/// Towards zero, held within the range; NaN gives 0.
i32 whole(float value)
{
    if (value != value)
        return 0;
    return value >= 0x1p31f   ? std::numeric_limits<i32>::max()
           : value < -0x1p31f ? std::numeric_limits<i32>::min()
                              : static_cast<i32>(value);
}

/// .ftz: what is too small to be normal counts as zero.
float flushed(float value)
{
    return std::fabs(value) < std::numeric_limits<float>::min() ? std::copysign(0.0f, value) : value;
}

} // namespace

const std::map<std::string_view, Operation>& operations()
{
    static const std::map<std::string_view, Operation>& all = *new std::map<std::string_view, Operation>{
        {"mov.b32", row<[](u32 a) { return a; }>},
        {"mov.u32", row<[](u32 a) { return a; }>},
        {"mov.b64", row<[](u64 a) { return a; }>},
        {"mov.b64.high", row<[](u64 a) { return static_cast<u32>(a >> 32); }>}, // half of a mov.b64 {low, high}
        {"cvta.to.global.u64", row<[](u64 a) { return a; }>},                   // one address space holds all
        {"cvt.u32.u64", row<[](u64 a) { return static_cast<u32>(a); }>},
        {"cvt.u16.u8", row<[](u16 a) { return static_cast<u16>(a & 0xFFU); }>},
        {"cvt.u64.u32", row<[](u32 a) { return u64{a}; }>},
        {"cvt.s64.s32", row<[](i32 a) { return i64{a}; }>},
        {"cvt.rn.f32.s32", row<[](i32 a) { return static_cast<float>(a); }>},
        {"cvt.rn.f32.u32", row<[](u32 a) { return static_cast<float>(a); }>},
        {"cvt.rn.f32.u16", row<[](u16 a) { return static_cast<float>(a); }>},
        {"cvt.rn.f32.s16", row<[](i16 a) { return static_cast<float>(a); }>},
        {"cvt.rzi.s32.f32", row<[](float a) { return whole(a); }>},
        {"cvt.rmi.ftz.f32.f32", row<[](float a) { return one(std::floor(flushed(a))); }>},

        {"add.s32", row<[](u32 a, u32 b) { return a + b; }>},
        {"sub.s32", row<[](u32 a, u32 b) { return a - b; }>},
        {"neg.s32", row<[](u32 a) { return 0 - a; }>},
        {"abs.s32", row<[](i32 a) { return a < 0 ? 0 - static_cast<u32>(a) : static_cast<u32>(a); }>},
        {"mul.lo.s32", row<[](u32 a, u32 b) { return a * b; }>},
        {"mad.lo.s32", row<[](u32 a, u32 b, u32 c) { return a * b + c; }>},
        {"mul.wide.s32", row<[](i32 a, i32 b) { return i64{a} * b; }>},
        {"mul.wide.u32", row<[](u32 a, u32 b) { return u64{a} * b; }>},
        {"mul.wide.u16", row<[](u16 a, u16 b) { return u32{a} * b; }>},
        {"div.s32", row<[](i32 a, i32 b) { return quotient(a, b); }>},
        {"div.u32", row<[](u32 a, u32 b) { return quotient(a, b); }>},
        {"rem.s32", row<[](i32 a, i32 b) { return remainder(a, b); }>},
        {"rem.u32", row<[](u32 a, u32 b) { return remainder(a, b); }>},
        {"min.s32", row<[](i32 a, i32 b) { return a < b ? a : b; }>},
        {"min.u32", row<[](u32 a, u32 b) { return a < b ? a : b; }>},
        {"max.s32", row<[](i32 a, i32 b) { return a < b ? b : a; }>},
        {"max.u32", row<[](u32 a, u32 b) { return a < b ? b : a; }>},
        {"add.s64", row<[](u64 a, u64 b) { return a + b; }>},

        {"and.b16", row<[](u16 a, u16 b) { return static_cast<u16>(a & b); }>},
        {"and.b32", row<[](u32 a, u32 b) { return a & b; }>},
        {"or.b32", row<[](u32 a, u32 b) { return a | b; }>},
        {"xor.b32", row<[](u32 a, u32 b) { return a ^ b; }>},
        {"or.b64", row<[](u64 a, u64 b) { return a | b; }>},
        {"xor.b64", row<[](u64 a, u64 b) { return a ^ b; }>},
        {"not.b32", row<[](u32 a) { return ~a; }>},
        {"shl.b32", row<[](u32 a, u32 by) { return left(a, by); }>},
        {"shl.b64", row<[](u64 a, u32 by) { return left(a, by); }>},
        {"shr.s32", row<[](i32 a, u32 by) { return right(a, by); }>},
        {"shr.u32", row<[](u32 a, u32 by) { return right(a, by); }>},
        {"shr.u64", row<[](u64 a, u32 by) { return right(a, by); }>},

        {"add.f32", row<[](float a, float b) { return one(a + b); }>},
        {"sub.f32", row<[](float a, float b) { return one(a - b); }>},
        {"mul.f32", row<[](float a, float b) { return one(a * b); }>},
        {"fma.rn.f32", row<[](float a, float b, float c) { return one(std::fma(a, b, c)); }>},
        {"div.rn.f32", row<[](float a, float b) { return one(a / b); }>},
        {"sqrt.rn.f32", row<[](float a) { return one(std::sqrt(a)); }>},
        {"neg.f32", row<[](u32 a) { return a ^ 0x80000000u; }>},
        {"min.f32", row<[](float a, float b) { return least(a, b); }>},
        {"max.f32", row<[](float a, float b) { return most(a, b); }>},

        {"setp.eq.b32", row<[](u32 a, u32 b) { return a == b; }>},
        {"setp.ne.b32", row<[](u32 a, u32 b) { return a != b; }>},
        {"setp.eq.b16", row<[](u16 a, u16 b) { return a == b; }>},
        {"setp.ne.b16", row<[](u16 a, u16 b) { return a != b; }>},
        {"setp.lt.s16", row<[](i16 a, i16 b) { return a < b; }>},
        {"setp.lt.u16", row<[](u16 a, u16 b) { return a < b; }>},
        {"setp.lt.s32", row<[](i32 a, i32 b) { return a < b; }>},
        {"setp.le.s32", row<[](i32 a, i32 b) { return a <= b; }>},
        {"setp.gt.s32", row<[](i32 a, i32 b) { return b < a; }>},
        {"setp.ge.s32", row<[](i32 a, i32 b) { return b <= a; }>},
        {"setp.lt.u32", row<[](u32 a, u32 b) { return a < b; }>},
        {"setp.gt.u32", row<[](u32 a, u32 b) { return b < a; }>},
        {"setp.ge.u32", row<[](u32 a, u32 b) { return b <= a; }>},
        {"setp.eq.f32", row<[](float a, float b) { return a == b; }>}, // false with NaN, as the next three
        {"setp.lt.f32", row<[](float a, float b) { return a < b; }>},
        {"setp.gt.f32", row<[](float a, float b) { return b < a; }>},
        {"setp.ge.f32", row<[](float a, float b) { return b <= a; }>},
        {"and.pred", row<[](bool a, bool b) { return a && b; }>},
        {"or.pred", row<[](bool a, bool b) { return a || b; }>},
        {"selp.b32", row<[](u32 a, u32 b, bool which) { return which ? a : b; }>},
        {"selp.f32", row<[](u32 a, u32 b, bool which) { return which ? a : b; }>},
    };
    return all;
}

} // namespace ptx

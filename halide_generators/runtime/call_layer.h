// What the calls of the stages are made of: checks of arrays, the choice of a compiled variant, arrays as Halide sees them, and
// the run.
#pragma once

#include "halide_generators/runtime/compiled_stages.h"
#include "halide_generators/runtime/runtime_hooks.h"
#include "halide_generators/runtime/stages.h"
#include "halide_generators/runtime/workload.h"

#include <HalideRuntime.h>
#include <initializer_list>
#include <memory>
#include <string>

namespace agpnet::stages
{

enum Axis // of View
{
    N,
    C,
    H,
    W
};

enum class Use
{
    Read,
    Write
};

/// "[1,3,252,252]"
std::string shapeText(const View& view);

double elements(const View& view);

/// An Error where an array has no memory, no size or no possible strides.
void check(const char* stage, const char* name, const View& view, Use use);
void checkSize(const char* stage, const char* name, const View& view, const std::array<int, 4>& expected);

/// How arrays lie, in the words of the table of variants. `inputs` have channels to lie side by side, `all` have pixels.
const char* layoutOf(std::initializer_list<const View*> inputs, std::initializer_list<const View*> all);

/// Rows that follow each other without a gap are one long row.
bool joins(const View& view);
View joined(View view);

/// The compiled variant for the workload, which is there as long as the program. An Error says why there is none.
const CompiledVariant& choose(const Device& device, const Workload& workload);

/// The host's threads, where the work is worth waking them: `cost` is in nanoseconds of one thread, roughly.
ParallelFor threadsFor(double cost);

/// An array or an image as Halide sees it, for the length of one call.
class Buffer
{
public:
    /// The array's axes in Halide's order, which is (x, y, c, n) as a rule. The values have 4 bytes.
    Buffer(Call& call, const char* stage, const char* name, const View& view, Use use, std::initializer_list<Axis> axes = {W, H, C, N},
           halide_type_t type = halide_type_t(halide_type_float, 32));

    /// A picture: (x · channels + channel, y).
    Buffer(Call& call, const char* stage, const char* name, const Picture& picture);

    /// (d, row); halves as numbers of 16 bits.
    Buffer(Call& call, const char* stage, const char* name, const Rows& rows);

    ~Buffer();
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;

    void* raw() { return &buffer_; }

private:
    struct ReleaseOpenCl
    {
        void operator()(void* memory) const;
    };

    void place(const char* stage, const char* name, void* data, size_t offset, size_t bytes, Use use);
    void* part(const char* stage, const char* name, void* data, size_t offset, size_t size);

    Call& call_;
    halide_buffer_t buffer_ = {};
    halide_dimension_t dimensions_[4];
    std::unique_ptr<void, ReleaseOpenCl> part_;
};

/// Calls the variant; `values`: the arguments of its generator in their order, Buffer::raw() or the address of a number. An Error
/// says what failed.
void runValues(const char* stage, const CompiledVariant& variant, Call& call, void** values);

template <typename... Arguments>
void run(const char* stage, const CompiledVariant& variant, Call& call, Arguments&&... arguments)
{
    void* context = &call;
    void* values[] = {&context, arguments...};
    runValues(stage, variant, call, values);
}

} // namespace agpnet::stages

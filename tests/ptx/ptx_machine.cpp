// Blocks run one after another; in a block each warp runs until it comes to a barrier or ends, then the next. Where lanes of a
// warp part, one side runs until it comes to the branch's join, then the other.
#include "ptx_machine.h"

#include "common/error.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace ptx
{
namespace
{

using agpnet::fail;
using agpnet::require;

constexpr uint32_t nobody = Word::nobody;

/// Lanes that run together until they come to `until`, where others wait for them.
struct Path
{
    size_t at, until;
    Mask mask;
};

struct Warp
{
    uint32_t firstThread = 0; ///< of the block
    Mask all = 0;             ///< fewer than 32 in the last one
    Mask live = 0;            ///< have not returned
    Register* registers = nullptr;
    std::vector<Path> paths; ///< the last one runs
};

struct SharedWord
{
    uint32_t value = 0;
    uint32_t block = nobody; ///< that last wrote it
    Word word;
};

class Run
{
public:
    Run(const Kernel& kernel, const Shape& shape, const std::vector<unsigned char>& arguments, GlobalMemory& memory)
        : kernel_(kernel), shape_(shape), arguments_(arguments), memory_(memory), shared_(shape.sharedBytes / 4)
    {
        const auto& [x, y, z] = shape.block;
        threads_ = x * y * z;
        require(threads_ > 0 && threads_ <= 1024, "kernel {}: a block of {} x {} x {} threads; expected 1 to 1024", kernel.name,
                x, y, z);
        require(arguments.size() == kernel.parameterBytes, "kernel {} is given {} bytes of arguments; expected {}", kernel.name,
                arguments.size(), kernel.parameterBytes);
        const size_t registers = static_cast<size_t>(kernel.registers);
        warps_.resize((threads_ + lanes - 1) / lanes);
        registers_.resize(warps_.size() * registers);
        for (size_t i = 0; i < warps_.size(); i++)
        {
            Warp& warp = warps_[i];
            warp.firstThread = static_cast<uint32_t>(i) * lanes;
            warp.registers = &registers_[i * registers];
            for (uint32_t lane = 0; lane < lanes; lane++)
                if (warp.firstThread + lane < threads_)
                    warp.all |= Mask{1} << lane;
            for (const auto& [to, value] : kernel.constants)
                fill(warp.registers[to], value);
            for (size_t axis = 0; axis < 3; axis++)
            {
                fill(warp.registers[Kernel::Threads + axis], shape.block[axis]);
                fill(warp.registers[Kernel::Blocks + axis], shape.grid[axis]);
                for (uint32_t lane = 0; lane < lanes; lane++)
                    warp.registers[Kernel::Thread + axis].low[lane] = placeOf(warp.firstThread + lane, shape.block)[axis];
            }
        }
    }

    Work run()
    {
        const auto& [x, y, z] = shape_.grid;
        const uint64_t blocks = uint64_t{x} * y * z;
        require(blocks * threads_ < nobody, "kernel {}: {} threads are too many to keep apart here", kernel_.name,
                blocks * threads_);
        memory_.launch++;
        for (block_ = 0; block_ < blocks; block_++)
            runBlock();
        return work_;
    }

private:
    static std::array<uint32_t, 3> placeOf(uint32_t index, const std::array<unsigned, 3>& size)
    {
        return {index % size[0], index / size[0] % size[1], index / size[0] / size[1]};
    }

    static void fill(Register& to, uint64_t value)
    {
        std::fill(to.low, to.low + lanes, static_cast<uint32_t>(value));
        std::fill(to.high, to.high + lanes, static_cast<uint32_t>(value >> 32));
    }

    void runBlock()
    {
        for (Warp& warp : warps_)
        {
            for (size_t axis = 0; axis < 3; axis++)
                fill(warp.registers[Kernel::Block + axis], placeOf(block_, shape_.grid)[axis]);
            warp.live = warp.all;
            warp.paths.assign(1, {0, kernel_.instructions.size(), warp.all});
        }
        for (;;)
        {
            period_++;
            for (Warp& warp : warps_)
                runToBarrier(warp);
            const auto first = std::find_if(warps_.begin(), warps_.end(), [](const Warp& warp) { return warp.live != 0; });
            if (first == warps_.end())
                return;
            for (const Warp& warp : warps_)
            {
                const Instruction& barrier = kernel_.instructions[first->paths.back().at];
                if (warp.live == 0)
                    fault(barrier, *first, 0, "waits for thread {}, which has returned", threadOfBlock(warp.firstThread));
                if (warp.paths.back().at != first->paths.back().at)
                    fault(barrier, *first, 0, "waits for thread {}, which waits at line {}", threadOfBlock(warp.firstThread),
                          kernel_.instructions[warp.paths.back().at].line);
            }
            for (Warp& warp : warps_)
                warp.paths.back().at++;
        }
    }

    void runToBarrier(Warp& warp)
    {
        while (!warp.paths.empty())
        {
            Path& path = warp.paths.back();
            if (path.at == path.until || path.mask == 0)
            {
                warp.paths.pop_back();
                continue;
            }
            const Instruction& now = kernel_.instructions[path.at];
            const Mask mask = path.mask;
            work_.warpInstructions++;
            switch (now.kind)
            {
            case Kind::Arithmetic:
                now.compute(warp.registers, now.to, now.from.data(), mask);
                break;
            case Kind::LoadParameter:
                loadParameter(warp, now, mask);
                break;
            case Kind::LoadGlobal:
            case Kind::LoadReadOnly:
            case Kind::StoreGlobal:
                accessGlobal(warp, now, mask);
                break;
            case Kind::LoadShared:
            case Kind::StoreShared:
                accessShared(warp, now, mask);
                break;
            case Kind::Branch:
                branch(warp, now, now.guard < 0 ? mask : mask & holding(warp.registers[now.guard], now.guardHolds));
                continue;
            case Kind::Barrier:
                // PTX: the threads of a warp come to a bar.sync together, or what happens is undefined. Later versions let some
                // have returned before; no schedule is meant to do so.
                if (const Mask missing = warp.all & ~mask)
                    fault(now, warp, std::countr_zero(mask), "waits for thread {}, which {}",
                          threadOfBlock(warp.firstThread + static_cast<uint32_t>(std::countr_zero(missing))),
                          warp.live >> std::countr_zero(missing) & 1 ? "has gone another way" : "has returned");
                return;
            case Kind::Return:
                warp.live &= ~mask;
                for (Path& each : warp.paths)
                    each.mask &= ~mask;
                break;
            }
            path.at++;
        }
    }

    static Mask holding(const Register& predicate, bool holds)
    {
        Mask mask = 0;
        for (int lane = 0; lane < lanes; lane++)
            mask |= static_cast<Mask>(predicate.low[lane] == holds) << lane;
        return mask;
    }

    void branch(Warp& warp, const Instruction& now, Mask taken)
    {
        Path& path = warp.paths.back();
        const Mask others = path.mask & ~taken;
        if (taken == 0 || others == 0)
        {
            path.at = taken == 0 ? path.at + 1 : now.target;
            return;
        }
        const Path next = {path.at + 1, now.join, others}, target = {now.target, now.join, taken};
        if (path.until == now.join)
            warp.paths.pop_back(); // who waits there already does
        else
            path.at = now.join;
        for (const Path& side : {next, target})
            if (side.at != now.join)
                warp.paths.push_back(side);
    }

    void loadParameter(Warp& warp, const Instruction& now, Mask mask)
    {
        uint64_t value = 0;
        std::memcpy(&value, &arguments_[now.offset], now.bytes); // little-endian, as the host
        Register& to = warp.registers[now.data[0]];
        for (int lane = 0; lane < lanes; lane++)
            if (mask >> lane & 1)
            {
                to.low[lane] = static_cast<uint32_t>(value);
                to.high[lane] = static_cast<uint32_t>(value >> 32);
            }
    }

    void accessGlobal(Warp& warp, const Instruction& now, Mask mask)
    {
        const bool stores = now.kind == Kind::StoreGlobal;
        const uint32_t launch = memory_.launch, firstThread = block_ * threads_ + warp.firstThread;
        uint64_t sectors[lanes];
        int count = 0;
        for (int lane = 0; lane < lanes; lane++)
        {
            if (!(mask >> lane & 1))
                continue;
            const uint64_t address = warp.registers[now.from[0]].whole(lane) + now.offset;
            const uint32_t thread = firstThread + static_cast<uint32_t>(lane);
            if (address % now.bytes != 0)
                fault(now, warp, lane, "at address {:#x}, which is not a multiple of {}", address, now.bytes);
            Allocation* const place = memory_.find(address, now.bytes);
            if (!place)
                fault(now, warp, lane, "at address {:#x}, which is outside all allocations", address);
            Word& word = place->words[(address - place->begin) / 4];
            uint32_t other = nobody;
            if (stores)
            {
                const uint32_t value = warp.registers[now.data[0]].low[lane];
                uint32_t& at = *reinterpret_cast<uint32_t*>(address); // the only width of stores
                other = word.write(launch, thread, at == value);
                at = value;
            }
            else
            {
                if (now.kind == Kind::LoadReadOnly && word.written(launch))
                    fault(now, warp, lane, "at address {:#x}, which this launch has written: .nc may read what was there before",
                          address);
                other = word.read(launch, thread);
                const void* const at = reinterpret_cast<const void*>(address);
                warp.registers[now.data[0]].low[lane] = now.bytes == 4   ? *static_cast<const uint32_t*>(at)
                                                   : now.bytes == 2 ? *static_cast<const uint16_t*>(at)
                                                   : now.isSigned   ? static_cast<uint32_t>(*static_cast<const int8_t*>(at))
                                                                    : *static_cast<const uint8_t*>(at);
            }
            if (other != nobody)
                fault(now, warp, lane, "at address {:#x} races with thread {} of block {}", address,
                      threadOfBlock(other % threads_), blockName(other / threads_));
            const uint64_t sector = address / sectorBytes;
            if ((count == 0 || sectors[count - 1] != sector) && std::find(sectors, sectors + count, sector) == sectors + count)
            {
                sectors[count++] = sector;
                uint32_t& seen = place->sectors[sector - place->begin / sectorBytes][stores];
                work_.touched += seen == launch ? 0 : sectorBytes;
                seen = launch;
            }
        }
        work_.asked += static_cast<uint64_t>(std::popcount(mask)) * now.bytes;
        work_.moved += static_cast<uint64_t>(count) * sectorBytes;
    }

    void accessShared(Warp& warp, const Instruction& now, Mask mask)
    {
        for (int lane = 0; lane < lanes; lane++)
        {
            if (!(mask >> lane & 1))
                continue;
            const uint64_t address = warp.registers[now.from[0]].whole(lane) + now.offset;
            const uint32_t thread = warp.firstThread + static_cast<uint32_t>(lane);
            if (address % now.bytes != 0)
                fault(now, warp, lane, "at shared address {}, which is not a multiple of {}", static_cast<int64_t>(address),
                      now.bytes);
            if (address / 4 + now.bytes / 4 > shared_.size())
                fault(now, warp, lane, "at shared address {}, which is outside the block's {} bytes",
                      static_cast<int64_t>(address), shape_.sharedBytes);
            for (size_t i = 0; i < now.bytes / 4; i++)
            {
                SharedWord& at = shared_[address / 4 + i];
                uint32_t other = nobody;
                if (now.kind == Kind::StoreShared)
                {
                    other = at.word.write(period_, thread, false);
                    at.value = warp.registers[now.data[i]].low[lane];
                    at.block = block_;
                }
                else
                {
                    if (at.block != block_)
                        fault(now, warp, lane, "at shared address {}, which the block has not written", address + 4 * i);
                    other = at.word.read(period_, thread);
                    warp.registers[now.data[i]].low[lane] = at.value;
                }
                if (other != nobody)
                    fault(now, warp, lane, "at shared address {} races with thread {}", address + 4 * i, threadOfBlock(other));
            }
        }
    }

    static std::string nameOf(const std::array<uint32_t, 3>& place)
    {
        return fmt::format("({}, {}, {})", place[0], place[1], place[2]);
    }
    std::string threadOfBlock(uint32_t index) const { return nameOf(placeOf(index, shape_.block)); }
    std::string blockName(uint32_t index) const { return nameOf(placeOf(index, shape_.grid)); }

    template <typename... Args>
    [[noreturn]] void fault(const Instruction& now, const Warp& warp, int lane, fmt::format_string<Args...> format,
                            Args&&... args) const
    {
        fail("kernel {}, line {} \"{}\": thread {} of block {} {}", kernel_.name, now.line, now.text,
             threadOfBlock(warp.firstThread + static_cast<uint32_t>(lane)), blockName(block_),
             fmt::format(format, std::forward<Args>(args)...));
    }

    const Kernel& kernel_;
    const Shape& shape_;
    const std::vector<unsigned char>& arguments_;
    GlobalMemory& memory_;
    std::vector<SharedWord> shared_;
    std::vector<Register> registers_;
    std::vector<Warp> warps_;
    uint32_t threads_ = 0; ///< of a block
    uint32_t block_ = 0;   ///< the present one
    uint32_t period_ = 0;  ///< from barrier to barrier, over all blocks
    Work work_;
};

} // namespace

Work run(const Kernel& kernel, const Shape& shape, const std::vector<unsigned char>& arguments, GlobalMemory& memory)
{
    return Run(kernel, shape, arguments, memory).run();
}

} // namespace ptx

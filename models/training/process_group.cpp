#include "models/training/process_group.h"

#include "common/error.h"

#include <ATen/ATen.h>
#include <charconv>
#include <cstdlib>
#include <string>

#ifdef AGPNET_DISTRIBUTED
#define USE_C10D_GLOO // LibTorch is built with it; its headers want to be told
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#endif

namespace agpnet
{
namespace
{

std::string environment(const char* name)
{
    const char* value = std::getenv(name);
    return value ? value : "";
}

int number(const char* name, int least, int most)
{
    const std::string text = environment(name);
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    require(error == std::errc() && end == text.data() + text.size() && value >= least && value <= most,
            "{} is '{}', expected a number from {} to {}", name, text, least, most);
    return value;
}

constexpr int mostProcesses = 65536;

/// A launcher's names for the same things.
struct Launcher
{
    const char* rank;
    const char* size;
    const char* sizeHere; ///< processes on this machine; may be null
};

// Slurm sets the tasks of a step where srun started the process, and not in a batch script or a shell of salloc, which are alone.
constexpr Launcher launchers[] = {{"RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"},
                                  {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE"},
                                  {"PMI_RANK", "PMI_SIZE", "MPI_LOCALNRANKS"},
                                  {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_TASKS_PER_NODE"}};

} // namespace

#ifdef AGPNET_DISTRIBUTED

struct ProcessGroup::Group
{
    c10::intrusive_ptr<c10d::Backend> backend;

    template <typename Call>
    void wait(Call call) const
    {
        try
        {
            call()->wait();
        }
        catch (const std::exception& error) // c10's, or Gloo's own
        {
            const std::string text = error.what();
            fail("another process of the training has gone away or does not answer: {}", text.substr(0, text.find('\n')));
        }
    }
};

ProcessGroup ProcessGroup::fromEnvironment()
{
    ProcessGroup processes;
    for (const Launcher& launcher : launchers)
    {
        if (environment(launcher.rank).empty() || environment(launcher.size).empty())
            continue;
        processes.size_ = number(launcher.size, 1, mostProcesses);
        if (processes.size_ == 1)
            return ProcessGroup();
        processes.rank_ = number(launcher.rank, 0, processes.size_ - 1);
        std::string address = environment("MASTER_ADDR");
        if (address.empty() && environment(launcher.sizeHere) == environment(launcher.size))
            address = "127.0.0.1";
        require(
            !address.empty(),
            "MASTER_ADDR is not set, expected the name or address of the machine of process 0, since {} processes are to train together",
            processes.size_);
        c10d::TCPStoreOptions options;
        if (!environment("MASTER_PORT").empty())
            options.port = static_cast<uint16_t>(number("MASTER_PORT", 1, 65535));
        // torchrun keeps a store of its own, and its attempts apart
        options.isServer = processes.rank_ == 0 && environment("TORCHELASTIC_USE_AGENT_STORE") != "True";
        options.numWorkers = static_cast<size_t>(processes.size_);
        options.waitWorkers = false;
        options.useLibUV = false; // not every LibTorch has it
        options.timeout = std::chrono::minutes(5);
        try
        {
            const auto store = c10::make_intrusive<c10d::PrefixStore>("agpnet/" + environment("TORCHELASTIC_RESTART_COUNT"),
                                                                      c10::make_intrusive<c10d::TCPStore>(address, options));
            // one may have much to read while others wait
            const auto gloo = c10d::ProcessGroupGloo::Options::create(std::chrono::minutes(30));
            const std::string card = environment("GLOO_SOCKET_IFNAME");
            gloo->devices.push_back(card.empty() ? c10d::ProcessGroupGloo::createDefaultDevice()
                                                 : c10d::ProcessGroupGloo::createDeviceForInterface(card));
            processes.group_ =
                std::make_shared<Group>(Group{c10::make_intrusive<c10d::ProcessGroupGloo>(store, processes.rank_, processes.size_, gloo)});
        }
        catch (const std::exception& error)
        {
            const std::string text = error.what();
            fail("process {} of {} cannot reach the others through {}:{}: {}", processes.rank_, processes.size_, address, options.port,
                 text.substr(0, text.find('\n')));
        }
        return processes;
    }
    return processes;
}

void ProcessGroup::average(const std::vector<at::Tensor>& tensors) const
{
    if (!group_)
        return;
    at::NoGradGuard noGradient;
    std::vector<at::Tensor> flat, buffer(1);
    for (const at::Tensor& tensor : tensors)
        flat.push_back(tensor.reshape({-1}));
    buffer[0] = at::cat(flat); // one message instead of a hundred
    group_->wait([&] { return group_->backend->allreduce(buffer); });
    buffer[0].div_(size_);
    int64_t from = 0;
    for (const at::Tensor& tensor : tensors)
    {
        tensor.copy_(buffer[0].narrow(0, from, tensor.numel()).view(tensor.sizes()));
        from += tensor.numel();
    }
}

void ProcessGroup::broadcast(const std::vector<at::Tensor>& tensors) const
{
    if (!group_)
        return;
    at::NoGradGuard noGradient;
    for (const at::Tensor& tensor : tensors)
    {
        std::vector<at::Tensor> whole = {tensor.contiguous()};
        group_->wait([&] { return group_->backend->broadcast(whole); });
        if (!whole[0].is_same(tensor))
            tensor.copy_(whole[0]);
    }
}

at::Tensor ProcessGroup::gathered(const at::Tensor& mine) const
{
    if (!group_)
        return mine;
    at::NoGradGuard noGradient;
    std::vector<at::Tensor> one = {mine.contiguous()};
    std::vector<std::vector<at::Tensor>> all(1);
    for (int i = 0; i < size_; i++)
        all[0].push_back(at::empty_like(one[0]));
    group_->wait([&] { return group_->backend->allgather(all, one); });
    return at::cat(all[0]);
}

#else

struct ProcessGroup::Group
{
};

ProcessGroup ProcessGroup::fromEnvironment()
{
    for (const Launcher& launcher : launchers)
        if (!environment(launcher.rank).empty() && !environment(launcher.size).empty() && number(launcher.size, 1, mostProcesses) > 1)
            fail("{} is {}: this AGPNet was built without Gloo's headers, and trains in one process only", launcher.size,
                 environment(launcher.size));
    return {};
}

void ProcessGroup::average(const std::vector<at::Tensor>&) const {}
void ProcessGroup::broadcast(const std::vector<at::Tensor>&) const {}

at::Tensor ProcessGroup::gathered(const at::Tensor& mine) const
{
    return mine;
}

#endif

bool ProcessGroup::any(bool mine) const
{
    return gathered(at::full({1}, mine ? 1.0 : 0.0, at::kDouble)).max().item<double>() > 0;
}

double ProcessGroup::first(double mine) const
{
    const at::Tensor value = at::full({1}, mine, at::kDouble);
    broadcast({value});
    return value.item<double>();
}

} // namespace agpnet

#include "models/device/captured_graph.h"

#include "models/device/device_graph.h"

#include <c10/core/InferenceMode.h>
#include <map>
#include <mutex>
#include <utility>

#ifdef AGPNET_GRAPHS
#include <ATen/ops/allclose.h>
#include <ATen/ops/clone.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#endif

namespace agpnet
{

#ifdef AGPNET_GRAPHS

namespace
{

/// From here to end(); without that, what was captured is thrown away.
class Capture
{
public:
    explicit Capture(DeviceGraph& graph) : graph_(graph) { graph_.begin(); }
    Capture(const Capture&) = delete;
    Capture& operator=(const Capture&) = delete;
    ~Capture()
    {
        if (!ended_)
            try
            {
                graph_.end();
            }
            catch (const std::exception&) // the reason is on its way already
            {
            }
    }
    void end()
    {
        ended_ = true;
        graph_.end();
    }

private:
    DeviceGraph& graph_;
    bool ended_ = false;
};

/// Nearer than two ways of computing in half precision come to each other.
bool agree(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b)
{
    constexpr double tolerance = 1e-2;
    if (a.size() != b.size())
        return false;
    for (size_t i = 0; i < a.size(); i++)
        if (a[i].sizes() != b[i].sizes() || !at::allclose(a[i], b[i], tolerance, tolerance, /*equal_nan=*/true))
            return false;
    return true;
}

/// What is one tensor twice stays one.
std::vector<at::Tensor> copies(const std::vector<at::Tensor>& tensors)
{
    std::vector<at::Tensor> result;
    for (size_t i = 0; i < tensors.size(); i++)
    {
        size_t same = 0;
        while (!tensors[same].is_same(tensors[i]))
            same++;
        result.push_back(same < i ? result[same] : tensors[i].clone());
    }
    return result;
}

/// A shape of input, and what has become of it.
struct Shape
{
    enum class State
    {
        Counting,
        Captured,
        Refused
    };

    std::mutex mutex; // protects all members below
    State state = State::Counting;
    int calls = 0;
    at::Tensor input;                // the graph's own
    std::vector<at::Tensor> outputs; // the memory that a replay writes
    std::unique_ptr<DeviceGraph> graph;
    std::unique_ptr<c10::Event> done; // its outputs have been read: the next replay, perhaps in another stream, waits for that

    std::vector<at::Tensor> capture(const CapturedGraph::Computation& computation, const at::Tensor& given);
    std::vector<at::Tensor> replay(const at::Tensor& given);
};

std::vector<at::Tensor> Shape::capture(const CapturedGraph::Computation& computation, const at::Tensor& given)
{
    std::vector<at::Tensor> expected = computation(given);
    state = State::Refused; // until it has shown itself
    try
    {
        const at::DeviceType kind = given.device().type();
        const c10::impl::VirtualGuardImpl device(kind);
        const c10::Stream current = device.getStream(given.device());
        input = given.clone();
        graph = std::make_unique<DeviceGraph>(kind);
        done = std::make_unique<c10::Event>(kind);
        done->record(current);
        {
            const c10::StreamGuard own(device.getNewStream(given.device())); // capture wants a stream other than the default one
            done->block(own.current_stream());
            computation(input); // libraries make their workspaces for a stream
            Capture written(*graph);
            outputs = computation(input);
            written.end();
            done->record(own.current_stream());
        }
        done->block(current);
        if (agree(replay(given), expected))
            state = State::Captured;
    }
    catch (const std::exception&) // as it stands, it can be computed
    {
    }
    if (state == State::Refused)
    {
        outputs.clear();
        input.reset();
        graph.reset();
    }
    return expected;
}

std::vector<at::Tensor> Shape::replay(const at::Tensor& given)
{
    const c10::Stream current = c10::impl::VirtualGuardImpl(given.device().type()).getStream(given.device());
    done->block(current);
    input.copy_(given, /*non_blocking=*/true);
    graph->replay();
    std::vector<at::Tensor> result = copies(outputs);
    done->record(current);
    return result;
}

} // namespace

#endif

struct CapturedGraph::Impl
{
    Computation computation;

#ifdef AGPNET_GRAPHS
    std::mutex mutex; // protects the map
    std::map<std::vector<int64_t>, Shape> shapes;

    /// Null where there is nothing to capture.
    Shape* shapeOf(const at::Tensor& input)
    {
        if (input.is_cpu() || !DeviceGraph::possible(input.device().type()) || input.size(0) > largestBatch)
            return nullptr;
        const std::lock_guard lock(mutex);
        const std::vector<int64_t> sizes = input.sizes().vec();
        return shapes.contains(sizes) || shapes.size() < mostShapes ? &shapes[sizes] : nullptr;
    }
#endif
};

CapturedGraph::CapturedGraph(Computation computation) : impl_(std::make_unique<Impl>())
{
    impl_->computation = std::move(computation);
}

CapturedGraph::~CapturedGraph() = default;

std::vector<at::Tensor> CapturedGraph::operator()(const at::Tensor& input) const
{
    const c10::InferenceMode inference; // in which the graph's own tensors are made
#ifdef AGPNET_GRAPHS
    if (Shape* const shape = impl_->shapeOf(input))
    {
        const std::lock_guard lock(shape->mutex);
        if (shape->state == Shape::State::Captured)
            return shape->replay(input);
        if (shape->state == Shape::State::Counting && ++shape->calls > callsBefore)
            return shape->capture(impl_->computation, input);
    }
#endif
    return impl_->computation(input);
}

} // namespace agpnet

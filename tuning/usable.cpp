#include "tuning/usable.h"

#include "halide_generators/runtime/stage_table.h"

#include <algorithm>

namespace agpnet::tuning
{

std::string generatorHash(const std::string& stage)
{
    const stages::Stage* const found = stages::findStage(stage);
    return found ? found->hash : "";
}

Usable usableChoices(const Record& record, const std::string& origin)
{
    Usable usable;
    for (const Entry& entry : record.entries)
    {
        const std::string what = fmt::format("{} {}", entry.workload.stage, stages::shapeText(entry.workload));
        if (entry.generator != generatorHash(entry.workload.stage))
            usable.ignored.push_back(fmt::format("{} was measured with other sources of the stage than this build's", what));
        else if (entry.halide != stages::halideVersion)
            usable.ignored.push_back(
                fmt::format("{} was measured with Halide {}, this build has {}", what, entry.halide, stages::halideVersion));
        else
        {
            const auto best =
                std::find_if(entry.trials.begin(), entry.trials.end(), [&](const Trial& trial) { return trial.variant == entry.best; });
            const stages::Choice choice{entry.workload, entry.device, entry.best, best->parameters, origin, entry.speedup};
            if (stages::compiledIn(choice))
                usable.choices.push_back(choice);
            else
                usable.ignored.push_back(fmt::format("{}: the schedule \"{}\" ({}) for {} is not compiled in", what, choice.variant,
                                                     choice.parameters, stages::nameOf(choice.device.api)));
        }
    }
    return usable;
}

} // namespace agpnet::tuning

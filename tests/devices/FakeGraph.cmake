# Calls of the stages go by tests/devices/fake_graph.cpp, which names the same functions.
function(fake_graph_of_stages target)
    foreach(_stage _ZN6agpnet6stages8residualERKNS0_6DeviceERKNS0_4ViewES6_NS0_6MetricES6_
        _ZN6agpnet6stages7heatmapERKNS0_6DeviceERKNS0_4ViewEdS6_S6_S6_)
        target_link_options(${target} PRIVATE "LINKER:--wrap=${_stage}")
    endforeach()
endfunction()

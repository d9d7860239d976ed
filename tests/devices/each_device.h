// A test once for each device: on the fake one always, on a GPU where there is one.
#pragma once

#include "tests/devices/fake_device.h"

#include <c10/core/DeviceType.h>
#include <gtest/gtest.h>
#include <string>

namespace agpnet::test
{

class OnEachDevice : public ::testing::TestWithParam<std::string>
{
protected:
    void SetUp() override
    {
        std::string reason;
        device_ = deviceFor(GetParam(), reason);
        if (device_.is_cpu())
            GTEST_SKIP() << reason;
    }

    bool isFake() const { return GetParam() == "fake"; }

    c10::Device device_ = c10::DeviceType::CPU;
};

} // namespace agpnet::test

#define AGPNET_EACH_DEVICE(suite)                                                                                                \
    INSTANTIATE_TEST_SUITE_P(, suite, ::testing::Values("fake", "cuda"), [](const auto& each) { return each.param; })

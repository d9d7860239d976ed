#include "device.h"
#include "tests/support/error_text.h"

#ifdef AGPNET_TEST_OPENCV
#include <opencv2/imgproc.hpp>
#endif

using namespace agpnet::stages;
using reference::Array;

namespace
{

class Prepare : public EveryPlace
{
};

struct Shape
{
    int h, w, height, width;
};

const Shape shapes[] = {{40, 60, 20, 30}, {41, 67, 18, 25}, {17, 19, 16, 18},  {20, 30, 40, 61}, {33, 12, 9, 40},  {12, 33, 40, 9},
                        {28, 28, 28, 28}, {1, 8, 1, 3},     {50, 1, 7, 1},     {1, 1, 5, 4},     {300, 7, 4, 3},   {9, 500, 8, 252},
                        {64, 64, 1, 1},   {90, 130, 3, 17}, {252, 252, 28, 42}};

TEST_P(Prepare, EqualsReference)
{
    uint64_t seed = 1;
    for (const Depth depth : {Depth::UInt8, Depth::UInt16, Depth::Float32})
        for (const int channels : {1, 3, 4, 6})
            for (const Shape& s : shapes)
                for (const Order order : allOrders)
                {
                    const Drawn drawn(depth, s.h, s.w, channels, static_cast<int>(seed % 3) * 4, seed);
                    seed++;
                    const Array expected = reference::prepare(drawn.exact, s.h, s.w, channels, s.height, s.width);
                    ASSERT_LT(difference(runPrepare(*place, drawn, s.height, s.width, order), expected), 2e-6)
                        << s.w << "x" << s.h << " to " << s.width << "x" << s.height << ", " << channels << " channels, depth "
                        << static_cast<int>(depth) << ", " << nameOf(order);
                }
}

TEST_P(Prepare, APlaneOfItsOwnIsTheSame)
{
    for (const Shape& s : shapes)
    {
        const Drawn drawn(Depth::Float32, s.h, s.w, 1, 0, 3);
        const Array three = runPrepare(*place, drawn, s.height, s.width, Order::Planar);
        Array memory(1, 1, 1, s.h * s.w);
        std::memcpy(memory.values.data(), drawn.bytes.data(), drawn.bytes.size());
        const auto from = place->make(memory);
        const auto to = place->make(1, 1, s.height, s.width);
        Picture picture = drawn.picture;
        picture.data = from->view.data;
        picture.offset = from->view.offset * sizeof(float);
        prepare(place->device, picture, to->view);
        const Array one = to->read();
        for (int c = 0; c < 3; c++)
            for (int y = 0; y < s.height; y++)
                for (int x = 0; x < s.width; x++)
                    ASSERT_EQ(one.at(0, 0, y, x), three.at(0, c, y, x));
    }
}

/// A picture and the float picture of the same values take the same steps, to the last bit: a model in bfloat16 would turn one bit into a
/// thousandth of the score.
TEST_P(Prepare, OnTheCpuGivesTheSameBitsForEveryType)
{
    if (place->device.api != Api::Cpu)
        GTEST_SKIP() << "rounding is the device's own";
    std::string reason;
    const std::unique_ptr<Place> baseline = openPlace("baseline", reason);
    ASSERT_TRUE(baseline) << reason;
    uint64_t seed = 1;
    for (const Depth depth : {Depth::UInt8, Depth::UInt16, Depth::Float32})
        for (const int channels : {1, 3, 6})
            for (const Shape& s : shapes)
            {
                const Drawn drawn(depth, s.h, s.w, channels, 0, seed++);
                Drawn same(Depth::Float32, s.h, s.w, channels, 0, 1);
                for (size_t i = 0; i < same.exact.size(); i++)
                {
                    const double most = depth == Depth::UInt8 ? 255 : depth == Depth::UInt16 ? 65535 : 1;
                    const float value = depth == Depth::Float32
                                            ? static_cast<float>(drawn.exact[i])
                                            : static_cast<float>(std::round(drawn.exact[i] * most)) * static_cast<float>(1 / most);
                    std::memcpy(&same.bytes[i * sizeof value], &value, sizeof value);
                }
                const Array found = runPrepare(*place, drawn, s.height, s.width, Order::Planar);
                ASSERT_EQ(found.values, runPrepare(*place, same, s.height, s.width, Order::Planar).values);
                ASSERT_EQ(found.values, runPrepare(*baseline, drawn, s.height, s.width, Order::Planar).values) << "another CPU";
            }
}

#ifdef AGPNET_TEST_OPENCV
TEST_P(Prepare, EqualsOpenCv)
{
    for (const Shape& s : {Shape{480, 640, 252, 252}, Shape{1000, 750, 252, 336}, Shape{100, 130, 252, 252}, Shape{300, 200, 252, 252}})
    {
        const Drawn drawn(Depth::UInt8, s.h, s.w, 3, 0, 5);
        const cv::Mat image(s.h, s.w, CV_8UC3, const_cast<unsigned char*>(drawn.bytes.data()));
        cv::Mat exact, resized, planes[3];
        image.convertTo(exact, CV_32F, 1 / 255.);
        const bool area = s.height < s.h && s.width < s.w;
        cv::resize(exact, resized, {s.width, s.height}, 0, 0, area ? cv::INTER_AREA : cv::INTER_LINEAR);
        cv::split(resized, planes);
        const Array found = runPrepare(*place, drawn, s.height, s.width, Order::Planar);
        for (int c = 0; c < 3; c++)
            for (int y = 0; y < s.height; y++)
                // OpenCV leaves out what covers less than a thousandth of a pixel, and keeps places in float
                for (int x = 0; x < s.width; x++)
                    ASSERT_NEAR(found.at(0, c, y, x), planes[2 - c].at<float>(y, x), area ? 1e-3 : 3e-5) << c << " " << y << " " << x;
    }
}
#endif

TEST_P(Prepare, AConstantStaysConstant)
{
    for (const Shape& s : shapes)
    {
        Drawn drawn(Depth::UInt8, s.h, s.w, 3, 0, 1);
        std::fill(drawn.bytes.begin(), drawn.bytes.end(), static_cast<unsigned char>(51));
        for (const float value : runPrepare(*place, drawn, s.height, s.width, Order::Planar).values)
            ASSERT_NEAR(value, 0.2f, 1e-6f);
    }
}

TEST_P(Prepare, NotANumberComesThrough)
{
    Drawn drawn(Depth::Float32, 20, 20, 3, 0, 1);
    const float nothing = std::numeric_limits<float>::quiet_NaN();
    std::memcpy(&drawn.bytes[4 * (3 * (20 * 7 + 9) + 2)], &nothing, sizeof nothing); // red of row 7, column 9
    const Array found = runPrepare(*place, drawn, 10, 10, Order::Planar);
    EXPECT_TRUE(std::isnan(found.at(0, 0, 3, 4)));
    EXPECT_FALSE(std::isnan(found.at(0, 1, 3, 4)));
    EXPECT_FALSE(std::isnan(found.at(0, 0, 8, 8)));
}

AGPNET_EVERY_PLACE(Prepare);

TEST(PrepareCall, NamesWhatIsWrong)
{
    std::vector<float> memory(3 * 8 * 8);
    std::vector<unsigned char> bytes(3 * 20 * 20);
    View out;
    out.data = memory.data();
    out.size = {1, 3, 8, 8};
    out.stride = {192, 64, 8, 1};
    Picture good;
    good.data = bytes.data();
    good.rows = good.columns = 20;
    good.channels = 3;
    good.step = 60;
    const auto message = [&](const std::function<void(Picture&, View&)>& change)
    {
        Picture picture = good;
        View to = out;
        change(picture, to);
        return agpnet::test::errorOf([&] { prepare({}, picture, to); });
    };
    const auto has = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
    EXPECT_EQ(message([](Picture&, View&) {}), "no error");
    EXPECT_TRUE(has(message([](Picture& p, View&) { p.data = nullptr; }), "no memory"));
    EXPECT_TRUE(has(message([](Picture& p, View&) { p.channels = 2; }), "2 channels; expected 1, 3, 4 or 6"));
    EXPECT_TRUE(has(message([](Picture& p, View&) { p.rows = 0; }), "20x0 pixels"));
    EXPECT_TRUE(has(message([](Picture& p, View&) { p.step = 59; }), "59 bytes apart"));
    EXPECT_TRUE(has(message([](Picture& p, View&) { p.depth = Depth::UInt16; p.step = 121; }), "121 bytes apart"));
    EXPECT_TRUE(has(message([](Picture& p, View&) { p.channels = 6; p.columns = 10; }), "expected [1,6,8,8]"));
    EXPECT_TRUE(has(message([](Picture& p, View&) { p.rows = 1 << 30; }), "at most"));
}

} // namespace

// Writes tiny backbones, pictures and a configuration for scripts that need a model:  make_tiny_set FOLDER
#include "tests/support/tiny_backbone.h"

#include <cstdio>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>

int main(int argc, char** argv)
{
    if (argc != 2)
        return std::fprintf(stderr, "usage: make_tiny_set FOLDER\n"), 2;
    const std::filesystem::path folder = argv[1];
    std::filesystem::create_directories(folder / "good");
    agpnet::writeSafetensors((folder / "tiny.safetensors").string(), agpnet::test::tinyBackbone());
    agpnet::writeSafetensors((folder / "patch14.safetensors").string(), agpnet::test::tinyBackbone(1, 14)); // for pictures of usual size
    agpnet::test::writeBytes(folder / "config.json", agpnet::test::tinyConfig());
    for (int i = 0; i < 6; i++)
    {
        cv::Mat image(40, 48, CV_8UC3);
        cv::RNG(static_cast<uint64_t>(i) + 1).fill(image, cv::RNG::UNIFORM, 0, 256);
        const std::string stem = (folder / "good" / std::to_string(i)).string();
        cv::imwrite(stem + ".png", image);
        if (i == 0)
            cv::imwrite((folder / "0.ppm").string(), image);
    }
}

// What `agpnet watch` needs of HighGUI. It is in a module that is loaded when a window is wanted: windows bring a hundred libraries with
// them, which every other start of the program would pay for.
#pragma once

#include <opencv2/core.hpp>

namespace agpnet::app
{

struct Screen
{
    void (*open)(const char* name); ///< cv::Exception where it cannot
    void (*show)(const char* name, const cv::Mat& picture);
    int (*key)(int milliseconds); ///< -1: none
    bool (*closed)(const char* name); ///< by the user
    void (*close)();
};

/// The module's own, for as long as the program runs; an Error says why there is none.
const Screen& screen();

/// Whether a window of this name can be opened. To be called before there are threads.
bool displayIsThere(const char* window);

} // namespace agpnet::app

extern "C" const agpnet::app::Screen* agpnet_screen();

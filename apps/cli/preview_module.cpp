// The module behind screen.h.
#include "apps/cli/preview_window.h"

#include <opencv2/highgui.hpp>

extern "C" __attribute__((visibility("default"))) const agpnet::app::Screen* agpnet_screen()
{
    static const agpnet::app::Screen screen = {
        .open = [](const char* name) { cv::namedWindow(name, cv::WINDOW_AUTOSIZE); },
        .show = [](const char* name, const cv::Mat& picture) { cv::imshow(name, picture); },
        .key = [](int milliseconds) { return cv::waitKey(milliseconds); },
        .closed = [](const char* name) { return cv::getWindowProperty(name, cv::WND_PROP_VISIBLE) < 1; },
        .close = [] { cv::destroyAllWindows(); },
    };
    return &screen;
}

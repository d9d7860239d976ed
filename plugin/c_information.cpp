#include "agpnet/c_api.h"
#include "agpnet/version.hpp"

#include <string>

extern "C" const char* agpnet_build_information(void)
{
    try
    {
        static const std::string text = agpnet::buildInformation();
        return text.c_str();
    }
    catch (...)
    {
        return nullptr;
    }
}

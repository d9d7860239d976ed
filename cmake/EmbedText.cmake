# Text files of the source tree as constants of the program.

# Adds to `target` a header, to be included as "<folder of the caller>/<header>", with one std::string_view a pair `name` `file`.
function(agpnet_embed_texts target header)
    file(RELATIVE_PATH folder ${PROJECT_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
    set(content "// Written by the build from the files named here.\n#pragma once\n\n#include <string_view>\n\nnamespace agpnet\n{\n")
    while(ARGN)
        list(POP_FRONT ARGN name file)
        set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${file})
        file(READ ${file} text)
        string(APPEND content "\n// ${file}\ninline constexpr std::string_view ${name} = R\"agpnet_text(${text})agpnet_text\";\n")
    endwhile()
    string(APPEND content "\n} // namespace agpnet\n")
    # not CONFIGURE: the texts' own @ and $ are theirs; not WRITE: what has not changed is not compiled again
    file(GENERATE OUTPUT ${PROJECT_BINARY_DIR}/embedded/${folder}/${header} CONTENT "${content}")
    target_include_directories(${target} PRIVATE ${PROJECT_BINARY_DIR}/embedded)
endfunction()

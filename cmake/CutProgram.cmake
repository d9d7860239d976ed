# Programs in documents are compiled as they stand.

# Writes the first block in `language` of the Markdown file `document` to `output`.
function(agpnet_cut_program document language output)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${document})
    file(READ ${document} text)
    string(FIND "${text}" "```${language}\n" begin)
    if(begin EQUAL -1)
        message(FATAL_ERROR "${document} has no ${language} program")
    endif()
    string(SUBSTRING "${text}" ${begin} -1 program)
    string(REGEX REPLACE "^```[a-z]+\n" "" program "${program}")
    string(FIND "${program}" "```" end)
    string(SUBSTRING "${program}" 0 ${end} program)
    file(CONFIGURE OUTPUT ${output} CONTENT "${program}" @ONLY)
endfunction()

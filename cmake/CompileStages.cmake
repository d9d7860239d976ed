# Stages to functions, and to a table that the call layer chooses from.

# Sets `name` to a text of the JSON document that the variable `json` names, or to nothing where it is not there.
macro(_agpnet_json name json)
    string(JSON ${name} ERROR_VARIABLE _missing GET "${${json}}" ${ARGN})
    if(_missing)
        set(${name} "")
    endif()
endmacro()

# Sets `name` to the texts of an array of that document.
macro(_agpnet_json_list name json)
    set(${name} "")
    string(JSON _length ERROR_VARIABLE _missing LENGTH "${${json}}" ${ARGN})
    if(NOT _missing AND _length GREATER 0)
        math(EXPR _end "${_length} - 1")
        foreach(_at RANGE ${_end})
            string(JSON _text GET "${${json}}" ${ARGN} ${_at})
            list(APPEND ${name} ${_text})
        endforeach()
    endif()
endmacro()

# Makes the generator of each stage in the file STAGES (halide_generators/stages.json says what is in it) and the SHA-256 of its sources:
# what was
# measured with one source says nothing about another. Sets in the caller
#     stages               their names
#     kinds_<stage>, kind_parameter_<stage>, layouts_<stage>
#     stage_rows           of the table in C++
function(_agpnet_stage_generators file)
    set(generators ${PROJECT_SOURCE_DIR}/halide_generators/generators)
    get_filename_component(folder ${file} DIRECTORY)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
    file(READ ${file} json)
    string(JSON count LENGTH "${json}" stages)
    math(EXPR last "${count} - 1")
    set(stages "")
    set(stage_rows "")
    foreach(i RANGE ${last})
        string(JSON stage GET "${json}" stages ${i} name)
        list(APPEND stages ${stage})
        foreach(key kinds layouts inputs outputs)
            _agpnet_json_list(${key} json stages ${i} ${key})
            list(JOIN ${key} " " ${key}_text)
        endforeach()
        _agpnet_json(kind_parameter json stages ${i} kind_parameter)
        foreach(key kinds layouts kind_parameter)
            set(${key}_${stage} "${${key}}" PARENT_SCOPE)
        endforeach()

        set(source ${folder}/generators/${stage}_generator.cpp)
        add_halide_generator(agpnet_${stage}_generator SOURCES ${source} ${generators}/noise.h ${generators}/layout.h)
        target_compile_features(agpnet_${stage}_generator PRIVATE cxx_std_20)
        if(NOT folder STREQUAL ${PROJECT_SOURCE_DIR}/halide_generators) # a stage from elsewhere
            target_include_directories(agpnet_${stage}_generator PRIVATE ${generators})
        endif()
        set(text "")
        foreach(each ${source} ${generators}/layout.h ${generators}/noise.h)
            set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${each})
            file(SHA256 ${each} hash)
            string(APPEND text "${hash}")
        endforeach()
        string(SHA256 hash "${text}")
        string(APPEND stage_rows "    {\"${stage}\", \"${kinds_text}\", \"${kind_parameter}\", "
            "\"${layouts_text}\", \"${inputs_text}\", \"${outputs_text}\", \"${hash}\"},\n")
    endforeach()
    set(stages "${stages}" PARENT_SCOPE)
    set(stage_rows "${stage_rows}" PARENT_SCOPE)
endfunction()

# agpnet_compile_stages(<prefix> STAGES <stages.json> VARIANTS <variants.json>... TABLE <name>)
# Compiles the variants of the files VARIANTS, in their order, and writes the tables agpnet::stages::<name>Stages and <name>Variants. Sets
# in the caller
#     <prefix>_FUNCTIONS   the libraries of the compiled variants
#     <prefix>_SOURCES     the sources of the tables: two, so that a program that has the stages' names alone does not get their functions
function(agpnet_compile_stages prefix)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "STAGES;TABLE" "VARIANTS")
    _agpnet_stage_generators(${arg_STAGES})
    set(functions "")
    set(declarations "")
    set(variant_rows "")
    foreach(file ${arg_VARIANTS})
        set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
        file(READ ${file} json)
        string(JSON count LENGTH "${json}" variants)
        if(count EQUAL 0)
            continue()
        endif()
        math(EXPR last "${count} - 1")
        foreach(i RANGE ${last})
            foreach(key stage api name target layout kind multiple)
                _agpnet_json(${key} json variants ${i} ${key})
            endforeach()
            if(NOT stage IN_LIST stages OR NOT api MATCHES "^(cpu|opencl|cuda)$" OR NOT name OR NOT target OR
               NOT (layout STREQUAL any OR layout IN_LIST layouts_${stage}))
                message(FATAL_ERROR "${file}: row ${i} lacks a stage, an api, a name, a target or a layout that there is")
            endif()
            if((kinds_${stage} AND NOT kind IN_LIST kinds_${stage}) OR (kind AND NOT kinds_${stage}))
                message(FATAL_ERROR "${file}: row ${i} has the kind '${kind}', which ${stage} does not have")
            endif()
            if(NOT multiple)
                set(multiple 1)
            endif()
            set(params "")
            if(layouts_${stage})
                list(APPEND params layout=${layout})
            endif()
            if(kinds_${stage})
                list(APPEND params ${kind_parameter_${stage}}=${kind})
            endif()
            set(parameters "") # in the alphabet's order, as CMake gives an object's members
            string(JSON length LENGTH "${json}" variants ${i} params)
            if(length GREATER 0)
                math(EXPR end "${length} - 1")
                foreach(p RANGE ${end})
                    string(JSON key MEMBER "${json}" variants ${i} params ${p})
                    string(JSON value GET "${json}" variants ${i} params ${key})
                    list(APPEND params ${key}=${value})
                    list(APPEND parameters ${key}=${value})
                endforeach()
            endif()
            list(JOIN parameters " " parameters)
            string(MAKE_C_IDENTIFIER "agpnet_${stage}_${kind}_${layout}_${api}_${name}" function)
            if(TARGET ${function})
                message(FATAL_ERROR "${file}: row ${i} repeats ${function}; give it another name")
            endif()
            add_halide_library(${function} FROM agpnet_${stage}_generator GENERATOR ${stage} FUNCTION_NAME ${function}
                TARGETS ${target}-user_context PARAMS ${params} USE_RUNTIME agpnet_halide_runtime)
            list(APPEND functions ${function})
            string(APPEND declarations "extern \"C\" int ${function}_argv(void**);\n")
            string(APPEND variant_rows "    {\"${stage}\", \"${api}\", \"${name}\", \"${target}\", \"${layout}\", \"${kind}\", "
                "${multiple}, \"${parameters}\", ${function}_argv},\n")
        endforeach()
    endforeach()
    set(table ${arg_TABLE})
    file(CONFIGURE OUTPUT ${table}_stages.cpp CONTENT [[// Made from a table of stages.
#include "halide_generators/runtime/compiled_stages.h"

namespace agpnet::stages
{

static constexpr CompiledStage table[] = {
@stage_rows@};

extern const std::span<const CompiledStage> @table@Stages;
constinit const std::span<const CompiledStage> @table@Stages = table;

} // namespace agpnet::stages
]] @ONLY)
    file(CONFIGURE OUTPUT ${table}_variants.cpp CONTENT [[// Made from tables of variants.
#include "halide_generators/runtime/compiled_stages.h"

@declarations@
namespace agpnet::stages
{

static constexpr CompiledVariant table[] = {
@variant_rows@};

extern const std::span<const CompiledVariant> @table@Variants;
constinit const std::span<const CompiledVariant> @table@Variants = table;

} // namespace agpnet::stages
]] @ONLY)
    set(${prefix}_FUNCTIONS "${functions}" PARENT_SCOPE)
    set(${prefix}_SOURCES ${CMAKE_CURRENT_BINARY_DIR}/${table}_stages.cpp ${CMAKE_CURRENT_BINARY_DIR}/${table}_variants.cpp PARENT_SCOPE)
endfunction()

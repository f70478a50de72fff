# libFuzzer targets: code under test with coverage feedback, in the asan preset only.
#
# GCC compiles (clang 14 cannot read this standard library), LLVM's runtime drives:
# fuzz_feedback.cpp translates between the two. It alone is compiled without feedback.
include_guard()

file(GLOB folders /usr/lib/llvm-*/lib/clang/*/lib/linux /usr/lib/clang/*/lib/linux)
find_library(DUEL_LIBFUZZER NAMES clang_rt.fuzzer-${CMAKE_SYSTEM_PROCESSOR} PATHS ${folders} NO_DEFAULT_PATH)
if(NOT DUEL_LIBFUZZER)
  message(FATAL_ERROR "libFuzzer's runtime not found: install libclang-rt-dev (./duel setup does)")
endif()

set(DUEL_FEEDBACK -fsanitize-coverage=trace-pc,trace-cmp)

# llhttp with feedback and sanitizers where it is built from its sources, else as it comes.
add_library(llhttp_under_test INTERFACE)
if(LLHTTP_SOURCES)
  get_target_property(sources llhttp SOURCES)
  get_target_property(definitions llhttp COMPILE_DEFINITIONS)
  add_library(llhttp_with_feedback STATIC ${sources})
  target_include_directories(llhttp_with_feedback SYSTEM PUBLIC ${LLHTTP_INCLUDE})
  target_compile_definitions(llhttp_with_feedback PRIVATE ${definitions})
  target_compile_options(llhttp_with_feedback PRIVATE -O2 -w ${DUEL_FEEDBACK}
    -fsanitize=${DUEL_SANITIZE} -fno-sanitize-recover=all)
  target_link_libraries(llhttp_under_test INTERFACE llhttp_with_feedback)
else()
  target_link_libraries(llhttp_under_test INTERFACE llhttp)
endif()

# A program fuzz_${name}, and a short reproducible test of it over the committed corpus.
function(duel_fuzz name)
  cmake_parse_arguments(arg "" "CORPUS;DICTIONARY;RUNS" "SOURCES;LIBRARIES" ${ARGN})
  set(target fuzz_${name})
  add_executable(${target} ${arg_SOURCES} ${PROJECT_SOURCE_DIR}/servers/http/fuzz_feedback.cpp)
  duel_target(${target})
  target_link_libraries(${target} PRIVATE ${arg_LIBRARIES} ${DUEL_LIBFUZZER} Threads::Threads)
  # Addresses that do not move: the same seed makes the same run.
  target_link_options(${target} PRIVATE -no-pie -Wl,--wrap=__sanitizer_cov_trace_pc)

  # Inputs by name, not by folder: libFuzzer would write what it finds into the folder.
  file(GLOB inputs CONFIGURE_DEPENDS ${arg_CORPUS}/*)
  list(JOIN inputs "," inputs)
  file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/${target}.inputs "${inputs}")
  add_test(NAME ${target} COMMAND ${target} -seed=1 -runs=${arg_RUNS} -max_len=600 -verbosity=1
    -dict=${arg_DICTIONARY} -seed_inputs=@${CMAKE_CURRENT_BINARY_DIR}/${target}.inputs
    -artifact_prefix=${CMAKE_CURRENT_BINARY_DIR}/)
  set_tests_properties(${target} PROPERTIES TIMEOUT 300)
endfunction()

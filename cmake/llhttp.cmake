# llhttp: the distribution's library where there is one (Debian 13, Ubuntu 24.10), else built
# from the C sources that Debian 12's node-llhttp ships. Before 9 being strict is chosen when it
# is compiled, and a lenient one takes a lone carriage return for the end of a line.
pkg_check_modules(llhttp QUIET IMPORTED_TARGET libllhttp>=9)
if(llhttp_FOUND)
  add_library(llhttp ALIAS PkgConfig::llhttp)
else()
  find_path(LLHTTP_SOURCES NAMES llhttp.c PATHS /usr/share/llhttp NO_DEFAULT_PATH)
  find_path(LLHTTP_INCLUDE NAMES llhttp.h PATHS /usr/share/include/llhttp NO_DEFAULT_PATH)
  if(NOT LLHTTP_SOURCES OR NOT LLHTTP_INCLUDE)
    message(FATAL_ERROR "llhttp not found: install libllhttp-dev or node-llhttp (./duel setup does)")
  endif()
  add_library(llhttp STATIC ${LLHTTP_SOURCES}/api.c ${LLHTTP_SOURCES}/http.c ${LLHTTP_SOURCES}/llhttp.c)
  target_include_directories(llhttp SYSTEM PUBLIC ${LLHTTP_INCLUDE})
  # Strict: refuses blanks in and after a header name.
  target_compile_definitions(llhttp PRIVATE LLHTTP_STRICT_MODE=1)
  target_compile_options(llhttp PRIVATE -O2 -w)
endif()

# Compiler settings, and the functions by which a folder becomes a library, a program or a test.

# ccache, told what precompiled headers need (its manual, "Precompiled headers"), so that a new build folder costs seconds. The cache
# lies outside the checkout and is shared by all build folders of this user.
find_program(CCACHE ccache)
if(CCACHE)
  if(DEFINED ENV{CCACHE_DIR})
    set(ccache_folder "$ENV{CCACHE_DIR}")
  elseif(DEFINED ENV{XDG_CACHE_HOME})
    set(ccache_folder "$ENV{XDG_CACHE_HOME}/cistern/ccache")
  else()
    set(ccache_folder "$ENV{HOME}/.cache/cistern/ccache")
  endif()
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_COMMAND}" -E env "CCACHE_DIR=${ccache_folder}" "CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}"
    CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime "${CCACHE}")
endif()
find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()

# Line numbers in backtraces are what an optimised or sanitized build needs of debug information; all of it doubles the time to build.
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1 -DNDEBUG")
# The precompiled header serves libraries and programs alike, so both are compiled as Debian's compilers do by themselves
# (position-independent programs); -fPIC for the one and -fPIE for the other would make GCC refuse it.
unset(CMAKE_POSITION_INDEPENDENT_CODE)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  add_compile_options(-Xclang -fno-pch-timestamp)
  # Asio 1.74 looks for Clang's coroutines of before C++20 only.
  add_compile_definitions(BOOST_ASIO_HAS_CO_AWAIT=1 BOOST_ASIO_HAS_STD_COROUTINE=1)
endif()

# Objects name no folder of this machine, so that one checkout's are right in another: a file is called as from the root of the checkout, in
# the messages of tests and in backtraces, however the compiler was told of it (ccache makes paths relative).
file(RELATIVE_PATH up "${CMAKE_BINARY_DIR}" "${CMAKE_SOURCE_DIR}")
add_compile_options("-ffile-prefix-map=${up}=" "-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=" "-ffile-prefix-map=${CMAKE_BINARY_DIR}=.")

add_library(cistern_options INTERFACE)
target_compile_options(cistern_options INTERFACE
  -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Werror=return-type -fno-omit-frame-pointer
  $<$<CXX_COMPILER_ID:GNU>:-fcoroutines>
  # What GCC 12 reports of std::string's own code and of coroutine frames is not so.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-stringop-overflow> $<$<CXX_COMPILER_ID:GNU>:-Wno-mismatched-new-delete>)
# Asio, Beast and spdlog are compiled once (lib/base/third_party.cpp) instead of in every file that includes them.
target_compile_definitions(cistern_options INTERFACE
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED BOOST_ALLOW_DEPRECATED_HEADERS)
# Programs export nothing. libcpprest has a copy of Asio in it, compiled with other settings; the dynamic linker would give it ours, of
# which some functions do something else (asio_handler_allocate), and it would crash.
target_compile_options(cistern_options INTERFACE -fvisibility=hidden)
target_compile_definitions(cistern_options INTERFACE BOOST_ASIO_DISABLE_VISIBILITY)
target_include_directories(cistern_options INTERFACE "${CMAKE_SOURCE_DIR}/lib" "${CMAKE_SOURCE_DIR}" "${CMAKE_BINARY_DIR}/generated")

set(CISTERN_SANITIZE "" CACHE STRING "Sanitizers, as -fsanitize takes them")
if(CISTERN_SANITIZE)
  add_compile_options(-fsanitize=${CISTERN_SANITIZE} -O1 -g1)
  add_link_options(-fsanitize=${CISTERN_SANITIZE})
  # GCC takes a sanitizer's checks for the program's own paths and warns of what can not happen.
  add_compile_options($<$<CXX_COMPILER_ID:GNU>:-Wno-stringop-overflow> $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  if(CISTERN_SANITIZE MATCHES "thread")
    add_compile_options($<$<CXX_COMPILER_ID:GNU>:-Wno-tsan>)  # Asio's fences, which it takes for no synchronisation
  endif()
  if(CISTERN_SANITIZE MATCHES "undefined")
    # Without the checks of every single pointer, which double the time to compile; AddressSanitizer sees what matters of them.
    add_compile_options(-fno-sanitize-recover=undefined -fno-sanitize=null,alignment,object-size,vptr)
  endif()
endif()

# cistern_units(OUT SOURCE…): what is compiled for these sources of the current folder. In a unity build that is files which include up to
# CISTERN_UNITY of them each, by the names that all #include lines have. CMake's own unity files have absolute paths in them, so that ccache
# would know none of one checkout in another. SKIP_UNITY_BUILD_INCLUSION leaves a source out.
set(CISTERN_UNITY 0 CACHE STRING "How many of a folder's sources are compiled as one; 0 or 1: each by itself")
function(cistern_units out)
  file(RELATIVE_PATH folder "${CMAKE_SOURCE_DIR}" "${CMAKE_CURRENT_SOURCE_DIR}")
  set(units "")
  set(together "")
  foreach(source IN LISTS ARGN)
    get_source_file_property(alone ${source} SKIP_UNITY_BUILD_INCLUSION)
    if(alone OR CISTERN_UNITY LESS 2)
      list(APPEND units ${source})
    else()
      list(APPEND together ${source})
    endif()
  endforeach()
  while(together)
    list(SUBLIST together 0 ${CISTERN_UNITY} batch)
    list(REMOVE_ITEM together ${batch})
    list(GET batch 0 first)
    list(TRANSFORM batch REPLACE "(.+)" "#include \"${folder}/\\1\"\n")
    string(CONCAT text ${batch})
    set(unit "${CMAKE_CURRENT_BINARY_DIR}/unity/${first}")
    file(CONFIGURE OUTPUT "${unit}" CONTENT "${text}" @ONLY)
    list(APPEND units "${unit}")
  endwhile()
  set(${out} ${units} PARENT_SCOPE)
endfunction()

# cistern_library(NAME [PCH asio|none] SOURCES … LINK …): one folder, one concept, one static library.
function(cistern_library name)
  cmake_parse_arguments(ARG "" "PCH" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  cistern_units(units ${ARG_SOURCES})
  add_library(${name} STATIC ${units})
  target_link_libraries(${name} PUBLIC cistern_options ${ARG_LINK} PRIVATE ${ARG_PRIVATE_LINK})
  if(ARG_PCH STREQUAL "asio" AND NOT name STREQUAL "cistern_base")
    target_precompile_headers(${name} REUSE_FROM cistern_base)
  endif()
endfunction()

# What runs again under the sanitizers: the tests of the concurrent parts, and whatever has the labels `asan` or `tsan`.
add_custom_target(asan_tests)
add_custom_target(tsan_tests)

# cistern_test(NAME SOURCES … LINK … [LABELS …] [TIMEOUT seconds]): a GoogleTest program; each TEST is a ctest test. Tests are listed
# when ctest starts rather than when they are built.
function(cistern_test name)
  cmake_parse_arguments(ARG "SERIAL;NO_UNITY" "TIMEOUT;PCH" "SOURCES;LINK;LABELS;ENVIRONMENT" ${ARGN})
  if(NOT ARG_NO_UNITY)  # unless its files have names in common
    cistern_units(ARG_SOURCES ${ARG_SOURCES})
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE cistern_options ${ARG_LINK} cistern_places GTest::gmock GTest::gtest_main)
  if(ARG_PCH STREQUAL "asio")
    target_precompile_headers(${name} REUSE_FROM cistern_base)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 60)
  endif()
  if(CMAKE_CURRENT_SOURCE_DIR MATCHES "/tests/(unit/(http|upstream|store|cache|peers)|conformance/store)$")
    list(APPEND ARG_LABELS asan tsan)
    list(REMOVE_DUPLICATES ARG_LABELS)
  endif()
  if("blackbox" IN_LIST ARG_LABELS)
    add_dependencies(${name} cache-agent)  # which it starts
  endif()
  foreach(sanitizer IN ITEMS asan tsan)
    if(sanitizer IN_LIST ARG_LABELS)
      add_dependencies(${sanitizer}_tests ${name})
    endif()
  endforeach()
  set(properties TIMEOUT ${ARG_TIMEOUT})
  if(ARG_LABELS)
    # One label with commas: gtest_discover_tests loses all but the first of a list. `ctest -L asan` finds it all the same.
    list(JOIN ARG_LABELS "," labels)
    list(APPEND properties LABELS "${labels}")
  endif()
  if(ARG_ENVIRONMENT)
    list(APPEND properties ENVIRONMENT "${ARG_ENVIRONMENT}")
  endif()
  if(ARG_SERIAL)
    list(APPEND properties RUN_SERIAL ON)
  endif()
  gtest_discover_tests(${name} TEST_PREFIX "${name}." DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60 PROPERTIES ${properties})
endfunction()

# Adds every direct subfolder of the current one that has a CMakeLists.txt.
function(cistern_add_subfolders)
  file(GLOB entries CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*/CMakeLists.txt")
  foreach(entry IN LISTS entries)
    get_filename_component(folder "${entry}" DIRECTORY)
    add_subdirectory("${folder}")
  endforeach()
endfunction()

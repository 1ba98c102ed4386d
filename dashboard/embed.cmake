# Writes a .cc that holds the dashboard's files as bytes: cmake -DOUTPUT=... "-DFILES=a.html;b.css" -P embed.cmake
set(types_html "text/html; charset=utf-8")
set(types_css "text/css; charset=utf-8")
set(types_js "text/javascript; charset=utf-8")
set(types_svg "image/svg+xml")

set(arrays "")
set(entries "")
set(number 0)
foreach(path IN LISTS FILES)
  get_filename_component(name ${path} NAME)
  get_filename_component(extension ${path} LAST_EXT)
  string(SUBSTRING ${extension} 1 -1 extension)
  file(READ ${path} bytes HEX)
  string(LENGTH "${bytes}" size)
  math(EXPR size "${size} / 2")
  string(REGEX REPLACE "(..)" "\\\\x\\1" bytes "${bytes}")
  # Many short literals, which the compiler joins.
  string(LENGTH "${bytes}" length)
  set(literal "")
  set(at 0)
  while(at LESS length)
    string(SUBSTRING "${bytes}" ${at} 4000 part)
    string(APPEND literal "\n    \"${part}\"")
    math(EXPR at "${at} + 4000")
  endwhile()
  string(APPEND arrays "constexpr char kFile${number}[] = ${literal};\n")
  string(APPEND entries "    {\"${name}\", \"${types_${extension}}\", {kFile${number}, ${size}}},\n")
  math(EXPR number "${number} + 1")
endforeach()

file(WRITE ${OUTPUT} "// Written by dashboard/embed.cmake.
#include \"dashboard/files.h\"

namespace dask::dashboard {
namespace {

${arrays}
constexpr File kFiles[] = {
${entries}};

}  // namespace

const File* find(std::string_view name) {
  for (const File& file : kFiles)
    if (file.name == name) return &file;
  return nullptr;
}

}  // namespace dask::dashboard
")

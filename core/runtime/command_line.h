// The command lines of programs: what is wrong with one is said in a line that names the program, and ends it with 2, as Dask's own end.
// Only for the files that have main(): CLI11 takes long to compile.
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

namespace dask {

// Prints what is wrong and where help is. The exit code.
inline int usage_error(const CLI::App& app, const std::string& text) {
  std::fprintf(stderr, "%s: %s\nTry '%s --help'.\n", app.get_name().c_str(), text.c_str(), app.get_name().c_str());
  return 2;
}

// Reads the arguments (without the program's own) into what `app`, which has a name, was told of. An exit code when the program ends here:
// help was asked for, or the arguments cannot be understood.
inline std::optional<int> read_command_line(CLI::App& app, std::vector<std::string> arguments) {
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 takes them
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::Success& answer) {  // --help, --version
    return app.exit(answer);
  } catch (const CLI::ExtrasError&) {  // whose own text names them backwards
    return usage_error(app, "not understood: " + CLI::detail::join(app.remaining(), " "));
  } catch (const CLI::ParseError& error) {
    return usage_error(app, error.what());
  }
  return std::nullopt;
}
inline std::optional<int> read_command_line(CLI::App& app, int argc, char** argv) {
  return read_command_line(app, {argv + 1, argv + argc});
}

}  // namespace dask

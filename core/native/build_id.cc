#include "core/native/build_id.h"

#include <elf.h>
#include <fmt/format.h>
#include <link.h>

#include <cstdint>
#include <cstring>
#include <string_view>

namespace dask::native {
namespace {

struct Search {
  std::uintptr_t address = 0;
  const void* module = nullptr;
  std::uint64_t id = 0;
};

std::uint64_t hash(std::uint64_t seed, std::string_view bytes) {
  for (const char c : bytes) seed = (seed ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return seed;
}

// The descriptor of the NT_GNU_BUILD_ID note in a segment of notes; empty when it has none.
std::string_view build_id_note(const char* at, std::size_t size) {
  while (size >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) head;
    std::memcpy(&head, at, sizeof head);
    const std::size_t name = (head.n_namesz + 3U) & ~3U, content = (head.n_descsz + 3U) & ~3U;
    if (name + content > size - sizeof head) return {};
    const char* text = at + sizeof head;
    if (head.n_type == NT_GNU_BUILD_ID && std::string_view(text, head.n_namesz) == std::string_view("GNU\0", 4))
      return {text + name, head.n_descsz};
    at = text + name + content;
    size -= sizeof head + name + content;
  }
  return {};
}

int visit(dl_phdr_info* info, std::size_t, void* data) {
  auto& search = *static_cast<Search*>(data);
  bool holds = false;
  std::string_view note;
  std::uint64_t code = 0xcbf29ce484222325ULL;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = info->dlpi_phdr[i];
    const std::uintptr_t begin = info->dlpi_addr + segment.p_vaddr;
    if (segment.p_type == PT_LOAD && search.address >= begin && search.address < begin + segment.p_memsz) holds = true;
    if (segment.p_type == PT_NOTE && note.empty()) note = build_id_note(reinterpret_cast<const char*>(begin), segment.p_memsz);
  }
  if (!holds) return 0;
  search.module = reinterpret_cast<const void*>(info->dlpi_addr + info->dlpi_phdr[0].p_vaddr);
  if (note.empty()) {
    for (int i = 0; i < info->dlpi_phnum; ++i) {
      const ElfW(Phdr)& segment = info->dlpi_phdr[i];
      if (segment.p_type == PT_LOAD && (segment.p_flags & PF_X) != 0 && (segment.p_flags & PF_W) == 0)
        code = hash(code, {reinterpret_cast<const char*>(info->dlpi_addr + segment.p_vaddr), segment.p_filesz});
    }
    search.id = code;
  } else {
    search.id = hash(code, note);
  }
  return 1;
}

Search search_for(const void* address) {
  Search search;
  search.address = reinterpret_cast<std::uintptr_t>(address);
  dl_iterate_phdr(visit, &search);
  return search;
}

}  // namespace

std::string build_id_of(const void* address) { return fmt::format("{:016x}", search_for(address).id); }

const void* module_of(const void* address) { return search_for(address).module; }

}  // namespace dask::native

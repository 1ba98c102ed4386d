// Results on Dask's wire: NativeValue <-> the node (Dask's Serialize: a sub-header and frames) that stands for it in get_data, gather and
// scatter. C++ peers get the value back exactly; an unmodified Python client or worker opens the same node as a plain Python object:
// numbers, text, lists, dicts; a pyarrow.Table for Arrow tables; bytes for what only a C++ codec reads.
// docs/native-protocol.md, "Results", is the specification. Sources: distributed/protocol/serialize.py, distributed/protocol/arrow.py.
// Pure; any thread.
#pragma once

#include <string_view>

#include "core/base/result.h"
#include "core/base/value.h"
#include "core/native/value.h"

namespace dask::native {

// The type_name of Arrow tables: their codec writes exactly one binary(), the bytes of an IPC stream.
inline constexpr std::string_view kArrowTableType = "arrow::Table";

// Named limits.
inline constexpr std::size_t kPlainPickleBytesMax = 4 * 1024;  // plain values up to here become a pickle, larger ones stay msgpack
inline constexpr int kNodeDepthMax = 200;                      // nesting of a value

// An error when the value cannot be serialised.
Result<OpaquePtr> to_node(const NativeValue& value);
Result<OpaquePtr> to_node(const Serialized& serialized);

// The value of a node, also of one that Python wrote for plain values and Arrow tables. kUnsupported names the Python type, where the node
// tells it, of what only Python can open, and what to do.
Result<NativeValue> from_node(const Opaque& node);

}  // namespace dask::native

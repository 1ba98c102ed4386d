// Tables to and from Arrow's IPC stream format. The only door to the Arrow library: its headers stay in bridge.cc.
#pragma once

#include "collections/dataframe/base/arrow_column.h"
#include "core/base/bytes.h"
#include "core/base/result.h"

namespace dask::dataframe {

Result<Bytes> to_ipc(const TableData& table);
// Validates everything: the bytes may come from anybody. The columns share the memory of `bytes` where Arrow can.
Result<TableData> from_ipc(const Bytes& bytes);

}  // namespace dask::dataframe

// How a Table becomes bytes between processes: an Arrow IPC stream.
#include "collections/dataframe/arrow/bridge.h"
#include "collections/dataframe/base/arrow_column.h"
#include "dask/dataframe_table.h"

namespace dask::native {

using dask::dataframe::Table;

void Codec<Table>::write(Writer& writer, const Table& table) {
  auto bytes = dataframe::to_ipc(*table.data());
  if (!bytes) return writer.fail(bytes.error().message);
  writer.binary(*std::move(bytes));
}

bool Codec<Table>::read(Reader& reader, Table& table) {
  Bytes bytes;
  if (!reader.binary(bytes)) return false;
  auto data = dataframe::from_ipc(bytes);
  if (!data) return reader.fail(data.error().message);
  table = Table(std::make_shared<const dataframe::TableData>(*std::move(data)));
  return true;
}

std::int64_t Codec<Table>::nbytes(const Table& table) {
  std::int64_t bytes = sizeof(dataframe::TableData);
  for (const auto& column : table.data()->columns) bytes += static_cast<std::int64_t>(sizeof column) + column.nbytes();
  return bytes;
}

}  // namespace dask::native

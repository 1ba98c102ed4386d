// Arrow's classes around our memory and the other way round. The only file that includes Arrow.
#include "collections/dataframe/arrow/bridge.h"

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>

#include <charconv>
#include <stdexcept>

#include "dask/dataframe_arrow.h"

namespace dask::dataframe {
namespace {

constexpr const char* kIndexColumns = "dask.index_columns";

std::shared_ptr<arrow::DataType> arrow_type(Type type) {
  switch (type) {
    case Type::kInt64: return arrow::int64();
    case Type::kFloat64: return arrow::float64();
    case Type::kBoolean: return arrow::boolean();
    case Type::kUtf8: return arrow::large_utf8();
    case Type::kTimestamp: return arrow::timestamp(arrow::TimeUnit::NANO);
  }
  return arrow::null();
}

bool our_type(const arrow::DataType& type, Type& out) {
  for (const Type known : {Type::kInt64, Type::kFloat64, Type::kBoolean, Type::kUtf8, Type::kTimestamp}) {
    if (!arrow_type(known)->Equals(type)) continue;
    out = known;
    return true;
  }
  return false;
}

// Memory of ours as an Arrow buffer, which keeps it alive.
class SharedBuffer final : public arrow::Buffer {
 public:
  explicit SharedBuffer(Bytes bytes)
      : arrow::Buffer(reinterpret_cast<const std::uint8_t*>(bytes.data()), static_cast<std::int64_t>(bytes.size())),
        bytes_(std::move(bytes)) {}

 private:
  Bytes bytes_;
};

Bytes from_buffer(const std::shared_ptr<arrow::Buffer>& buffer) {
  if (!buffer) return {};
  return Bytes(buffer, reinterpret_cast<const char*>(buffer->data()), static_cast<std::size_t>(buffer->size()));
}

std::shared_ptr<arrow::ArrayData> to_array(const ArrowColumn& column) {
  std::vector<std::shared_ptr<arrow::Buffer>> buffers;
  buffers.push_back(column.nulls > 0 ? std::make_shared<SharedBuffer>(column.validity) : nullptr);
  if (column.type == Type::kUtf8) buffers.push_back(std::make_shared<SharedBuffer>(column.offsets));
  buffers.push_back(std::make_shared<SharedBuffer>(column.data));
  return arrow::ArrayData::Make(arrow_type(column.type), column.length, std::move(buffers), column.nulls);
}

std::shared_ptr<arrow::RecordBatch> to_batch_of_arrow(const TableData& table) {
  arrow::FieldVector fields;
  std::vector<std::shared_ptr<arrow::ArrayData>> arrays;
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    fields.push_back(arrow::field(table.schema[i].name, arrow_type(table.schema[i].type)));
    arrays.push_back(to_array(table.columns[i]));
  }
  auto metadata = arrow::key_value_metadata({kIndexColumns}, {std::to_string(table.index_columns)});
  return arrow::RecordBatch::Make(arrow::schema(std::move(fields), std::move(metadata)), table.rows, std::move(arrays));
}

tl::unexpected<Error> unreadable(const std::string& why) {
  return fail(ErrorCode::kMalformed, "these bytes are no table in Arrow's IPC format: " + why);
}

Result<TableData> from_batch(const arrow::RecordBatch& batch) {
  TableData table;
  table.rows = batch.num_rows();
  for (int i = 0; i < batch.num_columns(); ++i) {
    const std::shared_ptr<arrow::ArrayData> data = batch.column_data(i);
    ArrowColumn column;
    if (!our_type(*data->type, column.type))
      return unreadable("column '" + batch.column_name(i) + "' has the type " + data->type->ToString());
    if (data->offset != 0 || data->buffers.size() != (column.type == Type::kUtf8 ? 3u : 2u)) return unreadable("a sliced column");
    column.length = data->length;
    column.nulls = data->GetNullCount();
    if (column.nulls > 0) column.validity = from_buffer(data->buffers[0]);
    if (column.type == Type::kUtf8) column.offsets = from_buffer(data->buffers[1]);
    column.data = from_buffer(data->buffers.back());
    // Arrow may leave the offsets of an empty column out.
    if (column.type == Type::kUtf8 && column.offsets.size() < sizeof(std::int64_t))
      column.offsets = Bytes::copy(std::string(sizeof(std::int64_t), '\0'));
    table.schema.push_back({batch.column_name(i), column.type});
    table.columns.push_back(std::move(column));
  }
  if (const auto metadata = batch.schema()->metadata()) {
    const int at = metadata->FindKey(kIndexColumns);
    if (at >= 0) {
      const std::string& text = metadata->value(at);
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), table.index_columns);
      if (error != std::errc() || end != text.data() + text.size() || table.index_columns > table.columns.size())
        return unreadable("a wrong number of index columns");
    }
  }
  return table;
}

}  // namespace

Result<Bytes> to_ipc(const TableData& table) {
  const auto batch = to_batch_of_arrow(table);
  auto sink = arrow::io::BufferOutputStream::Create();
  if (!sink.ok()) return fail(ErrorCode::kLimit, sink.status().ToString());
  auto writer = arrow::ipc::MakeStreamWriter(*sink, batch->schema());
  arrow::Status status = writer.ok() ? (*writer)->WriteRecordBatch(*batch) : writer.status();
  if (status.ok()) status = (*writer)->Close();
  if (!status.ok()) return fail(ErrorCode::kLimit, "a table cannot be written: " + status.ToString());
  auto buffer = (*sink)->Finish();
  if (!buffer.ok()) return fail(ErrorCode::kLimit, buffer.status().ToString());
  return from_buffer(*buffer);
}

Result<TableData> from_ipc(const Bytes& bytes) {
  auto reader = arrow::ipc::RecordBatchStreamReader::Open(std::make_shared<arrow::io::BufferReader>(std::make_shared<SharedBuffer>(bytes)));
  if (!reader.ok()) return unreadable(reader.status().ToString());
  std::shared_ptr<arrow::RecordBatch> batch, more;
  arrow::Status status = (*reader)->ReadNext(&batch);
  if (status.ok() && batch) status = (*reader)->ReadNext(&more);
  if (status.ok() && batch) status = batch->ValidateFull();
  if (!status.ok()) return unreadable(status.ToString());
  if (!batch || more) return unreadable("not exactly one batch");
  return from_batch(*batch);
}

std::shared_ptr<arrow::Table> to_arrow(const Table& table) {
  auto batch = to_batch_of_arrow(*table.data());
  auto result = arrow::Table::FromRecordBatches(batch->schema(), {batch});
  if (!result.ok()) throw std::runtime_error(result.status().ToString());
  return *result;
}

}  // namespace dask::dataframe

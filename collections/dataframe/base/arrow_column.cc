// Building and reading columns in Arrow's format: bitmaps, offsets, characters.
#include "collections/dataframe/base/arrow_column.h"

#include <cstring>

namespace dask::dataframe {
namespace {

template <class T>
Bytes own(std::vector<T> values) {
  auto owner = std::make_shared<const std::vector<T>>(std::move(values));
  const char* data = reinterpret_cast<const char*>(owner->data());
  const std::size_t size = owner->size() * sizeof(T);
  return Bytes(std::move(owner), data, size);
}

bool bit(const Bytes& bits, std::int64_t i) { return (static_cast<unsigned char>(bits.data()[i >> 3]) >> (i & 7) & 1) != 0; }

void set_bit(std::vector<std::uint8_t>& bits, std::int64_t i, bool value) {
  const auto byte = static_cast<std::size_t>(i >> 3);
  if (byte >= bits.size()) bits.resize(byte + 1);
  if (value) bits[byte] = static_cast<std::uint8_t>(bits[byte] | 1u << (i & 7));
}

}  // namespace

// Of the row behind the last one.
void ColumnBuilder::append_validity(bool valid) {
  if (!valid && nulls_++ == 0) {
    for (std::int64_t i = 0; i < length_; ++i) set_bit(validity_, i, true);
  }
  if (nulls_ > 0) set_bit(validity_, length_, valid);
  ++length_;
}

void ColumnBuilder::append(const Vec& values) {
  switch (type_) {
    case Type::kInt64:
    case Type::kTimestamp:
      ints_.insert(ints_.end(), values.ints.begin(), values.ints.end());
      for (const std::int64_t value : values.ints) append_validity(value != kNaT);
      break;
    case Type::kFloat64:
      doubles_.insert(doubles_.end(), values.doubles.begin(), values.doubles.end());
      length_ += static_cast<std::int64_t>(values.doubles.size());
      break;
    case Type::kBoolean:
      for (const std::uint8_t value : values.bools) {
        set_bit(bits_, length_, value == 1);
        append_validity(value != kMissingBool);
      }
      break;
    case Type::kUtf8:
      for (const std::string_view text : values.texts) {
        characters_.append(text.data() ? text : std::string_view(""));
        offsets_.push_back(static_cast<std::int64_t>(characters_.size()));
        append_validity(text.data() != nullptr);
      }
      break;
  }
}

ArrowColumn ColumnBuilder::finish() {
  ArrowColumn column;
  column.type = type_;
  column.length = length_;
  column.nulls = nulls_;
  if (nulls_ > 0) column.validity = own(std::move(validity_));
  switch (type_) {
    case Type::kInt64:
    case Type::kTimestamp: column.data = own(std::move(ints_)); break;
    case Type::kFloat64: column.data = own(std::move(doubles_)); break;
    case Type::kBoolean: column.data = own(std::move(bits_)); break;
    case Type::kUtf8:
      column.offsets = own(std::move(offsets_));
      column.data = Bytes::own(std::move(characters_));
      break;
  }
  return column;
}

VecPtr to_vec(const ArrowColumn& column) {
  auto out = std::make_shared<Vec>();
  out->type = column.type;
  const auto rows = static_cast<std::size_t>(column.length);
  const auto valid = [&](std::size_t i) { return column.nulls == 0 || bit(column.validity, static_cast<std::int64_t>(i)); };
  switch (column.type) {
    case Type::kInt64:
    case Type::kTimestamp:
      out->ints.resize(rows);
      if (rows > 0) std::memcpy(out->ints.data(), column.data.data(), rows * sizeof(std::int64_t));
      for (std::size_t i = 0; column.nulls > 0 && i < rows; ++i)
        if (!valid(i)) out->ints[i] = kNaT;
      break;
    case Type::kFloat64:
      out->doubles.resize(rows);
      if (rows > 0) std::memcpy(out->doubles.data(), column.data.data(), rows * sizeof(double));
      for (std::size_t i = 0; column.nulls > 0 && i < rows; ++i)
        if (!valid(i)) out->doubles[i] = kNaN;
      break;
    case Type::kBoolean:
      out->bools.resize(rows);
      for (std::size_t i = 0; i < rows; ++i) out->bools[i] = valid(i) ? bit(column.data, static_cast<std::int64_t>(i)) : kMissingBool;
      break;
    case Type::kUtf8: {
      out->texts.resize(rows);
      for (std::size_t i = 0; i < rows; ++i) {
        std::int64_t ends[2];
        std::memcpy(ends, column.offsets.data() + i * sizeof(std::int64_t), sizeof ends);
        const char* begin = column.data.data() ? column.data.data() + ends[0] : "";
        if (valid(i)) out->texts[i] = {begin, static_cast<std::size_t>(ends[1] - ends[0])};
      }
      out->keep_alive = std::make_shared<const Bytes>(column.data);
      break;
    }
  }
  return out;
}

Batch to_batch(const TableData& table) {
  Batch batch;
  batch.rows = static_cast<std::size_t>(table.rows);
  for (const ArrowColumn& column : table.columns) batch.columns.push_back(to_vec(column));
  return batch;
}

}  // namespace dask::dataframe

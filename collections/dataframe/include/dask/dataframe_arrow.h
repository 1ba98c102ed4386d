// Tables as Apache Arrow's own classes, for programs that use Arrow themselves. Include Arrow's headers yourself.
#pragma once

#include <memory>

#include "dask/dataframe_table.h"

namespace arrow {
class Table;
}

namespace dask::dataframe {

// The same memory; the index is the first column. Throws DataError's base std::runtime_error when Arrow refuses.
std::shared_ptr<arrow::Table> to_arrow(const Table& table);

}  // namespace dask::dataframe

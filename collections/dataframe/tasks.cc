// From Results to exceptions, and from a query to a graph.
#include "collections/dataframe/tasks.h"

#include <stdexcept>

#include "dask/dataframe.h"
#include "dask/delayed.h"

namespace dask::dataframe {
namespace {

Table table_or_raise(Result<TableData> result) {
  if (!result) raise(result.error());
  return Table(std::make_shared<const TableData>(*std::move(result)));
}

std::vector<TablePtr> data_of(const std::vector<Table>& tables) {
  std::vector<TablePtr> data;
  for (const Table& table : tables) data.push_back(table.data());
  return data;
}

}  // namespace

void raise(const Error& error) {
  if (error.code == ErrorCode::kInvalidArgument) throw std::invalid_argument(error.message);
  throw DataError(error.message);
}

Table scan_partition(const ScanTask& task) { return table_or_raise(scan_block(task.layout, task.block, task.stage)); }

Table combine_parts(const Stage& stage, const std::vector<Table>& parts) { return table_or_raise(combine(stage, data_of(parts))); }

Table finish_query(const std::vector<Stage>& stages, const std::vector<Table>& parts) {
  if (stages.empty()) throw std::invalid_argument("a query without stages");
  if (parts.size() == 1 && stages.size() == 1 && !stages[0].is_aggregation()) return parts[0];
  Table table = combine_parts(stages[0], parts);
  table = table_or_raise(finish(stages[0], *table.data()));
  for (std::size_t i = 1; i < stages.size(); ++i) table = table_or_raise(run_on_table(stages[i], *table.data()));
  return table;
}

NodePtr make_graph(const csv::ScanPlan& scan, const std::vector<Stage>& stages) {
  std::vector<Delayed<Table>> parts;
  for (const csv::Block& block : scan.blocks) parts.push_back(delayed<scan_partition>(ScanTask{scan.layout, block, stages[0]}));
  while (parts.size() > kTreeWidth) {
    std::vector<Delayed<Table>> merged;
    for (std::size_t begin = 0; begin < parts.size(); begin += kTreeWidth) {
      const std::size_t end = std::min(parts.size(), begin + kTreeWidth);
      merged.push_back(delayed<combine_parts>(stages[0], std::vector<Delayed<Table>>(parts.begin() + static_cast<std::ptrdiff_t>(begin),
                                                                                     parts.begin() + static_cast<std::ptrdiff_t>(end))));
    }
    parts = std::move(merged);
  }
  return delayed<finish_query>(stages, parts).node();
}

Table first_rows(const csv::ScanPlan& scan, Stage stage, std::int64_t limit) {
  std::vector<Table> parts;
  std::int64_t rows = 0;
  for (const csv::Block& block : scan.blocks) {
    if (rows >= limit && !parts.empty()) break;
    stage.limit = limit - rows;
    parts.push_back(table_or_raise(scan_block(scan.layout, block, stage)));
    rows += parts.back().rows();
  }
  return combine_parts(stage, parts);
}

}  // namespace dask::dataframe

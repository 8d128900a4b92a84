#include <algorithm>

#include "bindings/shared_statistics.hpp"
#include "bindings/xla_statistics.hpp"
#include "core/limits.hpp"
#include "statistics/exceedances.hpp"
#include "statistics/logit_density.hpp"
#include "statistics/table_likelihood.hpp"

namespace hbm_fast::bindings {

void SharedStatistics::merge(const std::shared_ptr<const SufficientStatistics>& added) {
  const std::lock_guard<std::recursive_mutex> lock(writing_);
  for (;;) {
    const auto current = snapshot();
    auto sum = added;
    if (current->n_groups() != 0.0 || added->n_categories() != current->n_categories()) {
      const auto both = std::make_shared<SufficientStatistics>(*added);
      both->merge(*current, poll_signals);
      sum = both;
    }
    const std::lock_guard<std::mutex> pointer_lock(reading_);
    if (current_ != current) continue;  // a signal's handler, which poll_signals called, has added to them
    current_ = sum;
    return;
  }
}

namespace {

using Weights = std::optional<Doubles>;

const double* row_weights(const Weights& weights, std::size_t n_rows) {
  if (!weights) return nullptr;
  refuse_if(size_of(*weights) != n_rows, "weights must have shape (N,)");
  return weights->data();
}

// add(statistics) fills new statistics, which then join the shared ones.
template <class Add>
void add_to(SharedStatistics& self, Add&& add) {
  without_gil([&] {
    const auto added = std::make_shared<SufficientStatistics>(self.snapshot()->n_categories());
    add(*added);
    self.merge(added);
  });
}

template <class Index>
void add_sparse(SharedStatistics& self, const py::array& values, const Contiguous<Index>& columns,
                const Contiguous<Index>& offsets, const Weights& weights) {
  const std::size_t n_rows = checked_csr(values, columns, offsets);
  const CountsView stored = to_stored(values);
  const double* w = row_weights(weights, n_rows);
  add_to(self, [&](SufficientStatistics& to) {
    to.add_sparse(stored, columns.data(), offsets.data(), n_rows, w, poll_signals);
  });
}

std::size_t need_concentrations(const SufficientStatistics& statistics, const Doubles& concentration,
                                const Doubles& value) {
  const auto n = size_of(value);
  refuse_if(size_of(concentration) != n * statistics.n_categories(), "concentration must have shape (S, K)");
  return n;
}

// Concentrations of a chunk: the 64 that the loops take at once, or fewer where each takes long.
std::size_t chunk_of(const SufficientStatistics& statistics) {
  std::size_t n = 1;
  for (std::size_t k = 0; k <= statistics.n_categories(); ++k) n += statistics.column(k).value_weights().values.size();
  return std::clamp<std::size_t>((std::size_t{1} << 24) / n, 1, lane_count);
}

// body(begin, end, poll) on chunks of n concentrations, without the interpreter's lock.
template <class Body>
void for_chunks(const SufficientStatistics& statistics, std::size_t n, int n_threads, const Body& body) {
  without_gil_polled([&](TimedPoll& poll) {
    parallel_for(
        n, chunk_of(statistics), n_threads, [&](std::size_t begin, std::size_t end) { body(begin, end, poll); },
        poll_signals);
  });
}

template <class T>
auto reader_of(T (SufficientStatistics::*property)() const) {
  return [property](const SharedStatistics& self) { return (*self.snapshot().*property)(); };
}

const CountColumn& column_of(const SufficientStatistics& statistics, std::size_t column) {
  if (column > statistics.n_categories()) throw py::index_error("column must be at most K (the totals)");
  return statistics.column(column);
}

py::tuple pairs_of(const CountColumn& column) {
  const auto [values, weights] = column.value_weights();
  return py::make_tuple(filled<double>(values), filled<double>(weights));
}

py::tuple get_state(const SharedStatistics& self) {
  const auto statistics = self.snapshot();
  py::list columns;
  for (std::size_t k = 0; k <= statistics->n_categories(); ++k) columns.append(pairs_of(statistics->column(k)));
  return py::make_tuple(statistics->n_categories(), statistics->n_groups(), statistics->log_coefficient(), columns);
}

std::unique_ptr<SharedStatistics> set_state(const py::tuple& state) {
  const auto refuse = [](bool bad) { refuse_if(bad, "not a state of SufficientStatistics"); };
  refuse(state.size() != 4 || !py::isinstance<py::list>(state[3]));
  const auto columns = state[3].cast<py::list>();
  refuse(columns.size() != state[0].cast<std::size_t>() + 1);
  std::vector<py::array_t<double>> keep;
  std::vector<CountColumn::ValueWeights> pairs;
  for (const auto& item : columns) {
    refuse(!py::isinstance<py::tuple>(item) || py::len(item) != 2);
    const auto pair = item.cast<py::tuple>();
    std::span<const double> parts[2];
    for (std::size_t i = 0; i < 2; ++i) {
      const auto& part = keep.emplace_back(pair[i].cast<Doubles>());
      need_layout(part);  // this cast converts, but leaves the alignment
      parts[i] = {part.data(), size_of(part)};
    }
    pairs.push_back({parts[0], parts[1]});
  }
  return std::make_unique<SharedStatistics>(SufficientStatistics::restore(pairs, state[1].cast<double>()));
}

}  // namespace

void register_statistics(py::module_ m) {
  py::class_<SharedStatistics>(m, "SufficientStatistics")
      .def(py::init([](std::size_t n_categories) {
             return std::make_unique<SharedStatistics>(SufficientStatistics(n_categories));
           }),
           py::arg("n_categories"))
      .def(
          "add",
          [](SharedStatistics& self, const py::array& counts, const Weights& weights) {
            const CountsView view = to_counts(counts);
            const double* w = row_weights(weights, view.n_rows);
            add_to(self, [&](SufficientStatistics& to) { to.add(view, w, poll_signals); });
          },
          py::arg("counts"), py::arg("weights") = py::none())
      .def("add_sparse", &add_sparse<std::int32_t>, py::arg("values"), py::arg("columns"), py::arg("offsets"),
           py::arg("weights") = py::none())
      .def("add_sparse", &add_sparse<std::int64_t>, py::arg("values"), py::arg("columns"), py::arg("offsets"),
           py::arg("weights") = py::none())
      .def(
          "merge",
          [](SharedStatistics& self, const SharedStatistics& other) {
            without_gil([&] { self.merge(other.snapshot()); });
          },
          py::arg("other"))
      .def_property_readonly("n_categories", reader_of(&SufficientStatistics::n_categories))
      .def_property_readonly("n_groups", reader_of(&SufficientStatistics::n_groups))
      .def_property_readonly("log_coefficient", reader_of(&SufficientStatistics::log_coefficient))
      .def(
          "has_table",
          [](const SharedStatistics& self, std::size_t column) {
            return column_of(*self.snapshot(), column).has_table();
          },
          py::arg("column"), "Whether a category (K: the totals) is evaluated over its table; else over pairs.")
      .def(
          "pairs",
          [](const SharedStatistics& self, std::size_t column) {
            const auto statistics = self.snapshot();
            return pairs_of(column_of(*statistics, column));
          },
          py::arg("column"), "The distinct counts of a category (K: the totals) and how often each occurs.")
      .def(
          "log_likelihood",
          [](const SharedStatistics& self, const Doubles& concentration, Doubles value, std::optional<Doubles> gradient,
             int n_threads, bool coefficient) {
            const auto statistics = self.snapshot();
            const std::size_t k = statistics->n_categories();
            const std::size_t n = need_concentrations(*statistics, concentration, value);
            refuse_if(gradient && size_of(*gradient) != n * k, "gradient must have shape (S, K)");
            const double* a = concentration.data();
            double* v = value.mutable_data();
            double* g = gradient ? gradient->mutable_data() : nullptr;
            const double constant = statistics->log_constant(coefficient);
            for_chunks(*statistics, n, n_threads, [&](std::size_t begin, std::size_t end, TimedPoll& poll) {
              statistics->log_likelihood(a + begin * k, end - begin, v + begin, g ? g + begin * k : nullptr, &poll);
              for (std::size_t s = begin; s < end; ++s) v[s] += constant;
            });
          },
          py::arg("concentration"), py::arg("value"), py::arg("gradient"), py::arg("n_threads"),
          py::arg("coefficient") = false,
          "Writes the log-likelihood, with the coefficients or without, and the gradient unless None.")
      .def(
          "hessian",
          [](const SharedStatistics& self, const Doubles& concentration, Doubles diagonal, Doubles constant,
             int n_threads) {
            const auto statistics = self.snapshot();
            const std::size_t k = statistics->n_categories();
            const std::size_t n = need_concentrations(*statistics, concentration, constant);
            refuse_if(size_of(diagonal) != n * k, "diagonal must have shape (S, K)");
            const double* a = concentration.data();
            double* d = diagonal.mutable_data();
            double* c = constant.mutable_data();
            for_chunks(*statistics, n, n_threads, [&](std::size_t begin, std::size_t end, TimedPoll& poll) {
              for (std::size_t s = begin; s < end; ++s) c[s] = statistics->hessian(a + s * k, d + s * k, &poll);
            });
          },
          py::arg("concentration"), py::arg("diagonal"), py::arg("constant"), py::arg("n_threads"),
          "Writes the diagonal and the constant of the Hessian diag(diagonal) + constant.")
      .def(
          "keep_for_xla",
          [](const SharedStatistics& self, std::int64_t key) { xla::keep_statistics(key, self.snapshot()); },
          py::arg("key"), "Keeps these statistics, as they are now, for functions that jax compiles.")
      .def(py::pickle(&get_state, &set_state));
  m.def("log_likelihood_xla_address", [] { return reinterpret_cast<std::uintptr_t>(&xla::statistics_log_likelihood); });
  m.def(
      "logit_density",
      [](const Doubles& tables, const Doubles& concentration, const Doubles& t, const Doubles& u, Doubles value,
         const std::optional<Doubles>& slope, int n_threads) {
        refuse_if(tables.ndim() != 2 || tables.shape(0) != 3, "tables must have shape (3, J)");
        refuse_if(concentration.size() != 2, "concentration must have shape (2,)");
        const auto n = size_of(value);
        refuse_if(size_of(t) != n || size_of(u) != n, "t, u and value must have one size");
        refuse_if(slope && size_of(*slope) != n, "slope must have the size of value");
        const auto longest = extent(tables, 1);
        double* v = value.mutable_data();
        double* s = slope ? const_cast<Doubles&>(*slope).mutable_data() : nullptr;
        without_gil([&] {
          logit_density(tables.data(), longest, concentration.data(), t.data(), u.data(), n, v, s, n_threads,
                        poll_signals);
        });
      },
      py::arg("tables"), py::arg("concentration"), py::arg("t"), py::arg("u"), py::arg("value"), py::arg("slope"),
      py::arg("n_threads"),
      "Writes log p(counts, logit beta | alpha) of two categories at points (log alpha, logit), and its slope unless "
      "None.");
  m.def(
      "table_log_likelihood",
      [](const Floats& tables, const Doubles& log_alpha, const Doubles& log_beta, Doubles out, int n_threads) {
        refuse_if(tables.ndim() != 3 || tables.shape(1) < 2, "tables must have shape (B, K + 1, J)");
        refuse_if(log_alpha.ndim() != 2 || log_alpha.shape(0) != tables.shape(0), "log_alpha must have shape (B, S)");
        const std::size_t n_categories = extent(tables, 1) - 1;
        refuse_if(size_of(log_beta) != size_of(log_alpha) * n_categories, "log_beta must have shape (B, S, K)");
        refuse_if(out.size() != log_alpha.size(), "out must have shape (B, S)");
        double* values = out.mutable_data();
        without_gil([&] {
          table_log_likelihood(tables.data(), extent(tables, 0), n_categories, extent(tables, 2), log_alpha.data(),
                               log_beta.data(), extent(log_alpha, 1), values, n_threads, poll_signals);
        });
      },
      py::arg("tables"), py::arg("log_alpha"), py::arg("log_beta"), py::arg("out"), py::arg("n_threads"),
      "Writes the collapsed log-likelihood (no coefficient) of B exceedance tables at S concentrations each.");
  m.def(
      "exceedance_counts",
      [](const py::array& counts, Floats out, int n_threads) {
        refuse_if(counts.ndim() != 3, "counts must have shape (B, N, K)");
        refuse_if(out.ndim() != 3 || out.shape(0) != counts.shape(0) || out.shape(1) != counts.shape(2) + 1,
                  "out must have shape (B, K + 1, J)");
        const CountType type = count_type(counts.dtype());
        need_layout(counts);
        const CountsBatch batch{
            {counts.data(), type, extent(counts, 1), extent(counts, 2), stride_of(counts, 1), stride_of(counts, 2)},
            extent(counts, 0),
            stride_of(counts, 0)};
        float* data = out.mutable_data();
        const auto max_total = extent(out, 2);
        without_gil([&] { exceedance_counts(batch, max_total, data, n_threads, poll_signals); });
      },
      py::arg("counts"), py::arg("out"), py::arg("n_threads"));
}

}  // namespace hbm_fast::bindings

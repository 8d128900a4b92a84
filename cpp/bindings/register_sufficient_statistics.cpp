#include "bindings.hpp"
#include "hbm_fast/logit_density.hpp"
#include "hbm_fast/sufficient_statistics.hpp"

namespace hbm_fast::bindings {
namespace {

using Weights = std::optional<Doubles>;

const double* row_weights(const Weights& weights, std::size_t n_rows) {
  if (!weights) return nullptr;
  if (static_cast<std::size_t>(weights->size()) != n_rows) throw std::invalid_argument("weights must have shape (N,)");
  return weights->data();
}

template <class Index>
void add_sparse(SufficientStatistics& self, const py::array& values, const py::array_t<Index, py::array::c_style>& columns,
                const py::array_t<Index, py::array::c_style>& offsets, const Weights& weights) {
  const std::size_t n_rows = checked_csr(values, columns, offsets);
  const CountsView stored{values.data(), count_type(values.dtype()), 1, static_cast<std::size_t>(values.size()), 0,
                          values.strides(0) / values.itemsize()};
  const double* w = row_weights(weights, n_rows);
  const py::gil_scoped_release release;
  self.add_sparse(stored, columns.data(), offsets.data(), n_rows, w);
}

std::size_t need_concentrations(const SufficientStatistics& self, const Doubles& concentration, const Doubles& value) {
  const auto n = static_cast<std::size_t>(value.size());
  if (static_cast<std::size_t>(concentration.size()) != n * self.n_categories()) throw std::invalid_argument("concentration must have shape (S, K)");
  return n;
}

py::array_t<double> copy_of(std::span<const double> values) {
  return py::array_t<double>(static_cast<py::ssize_t>(values.size()), values.data());
}

py::tuple get_state(const SufficientStatistics& self) {
  py::list columns;
  for (std::size_t k = 0; k <= self.n_categories(); ++k) {
    const auto [values, weights] = self.column(k).pairs();
    columns.append(py::make_tuple(copy_of(values), copy_of(weights)));
  }
  return py::make_tuple(self.n_categories(), self.n_groups(), self.log_coefficient(), columns);
}

SufficientStatistics set_state(const py::tuple& state) {
  if (state.size() != 4) throw std::invalid_argument("not a state of SufficientStatistics");
  SufficientStatistics self(state[0].cast<std::size_t>());
  const auto columns = state[3].cast<py::list>();
  if (columns.size() != self.n_categories() + 1) throw std::invalid_argument("not a state of SufficientStatistics");
  for (std::size_t k = 0; k <= self.n_categories(); ++k) {
    const auto pair = columns[k].cast<py::tuple>();
    const auto values = pair[0].cast<Doubles>();
    const auto weights = pair[1].cast<Doubles>();
    if (values.size() != weights.size()) throw std::invalid_argument("not a state of SufficientStatistics");
    const auto n = static_cast<std::size_t>(values.size());
    self.restore(k, {values.data(), n}, {weights.data(), n});
  }
  self.restore(state[1].cast<double>(), state[2].cast<double>());
  return self;
}

}  // namespace

void register_sufficient_statistics(py::module_& m) {
  py::class_<SufficientStatistics>(m, "SufficientStatistics")
      .def(py::init<std::size_t>(), py::arg("n_categories"))
      .def(
          "add",
          [](SufficientStatistics& self, const py::array& counts, const Weights& weights) {
            const CountsView view = to_counts(counts);
            const double* w = row_weights(weights, view.n_rows);
            const py::gil_scoped_release release;
            self.add(view, w);
          },
          py::arg("counts"), py::arg("weights").noconvert() = py::none())
      .def("add_sparse", &add_sparse<std::int32_t>, py::arg("values"), py::arg("columns").noconvert(),
           py::arg("offsets").noconvert(), py::arg("weights").noconvert() = py::none())
      .def("add_sparse", &add_sparse<std::int64_t>, py::arg("values"), py::arg("columns").noconvert(),
           py::arg("offsets").noconvert(), py::arg("weights").noconvert() = py::none())
      .def("merge", &SufficientStatistics::merge, py::arg("other"))
      .def_property_readonly("n_categories", &SufficientStatistics::n_categories)
      .def_property_readonly("n_groups", &SufficientStatistics::n_groups)
      .def_property_readonly("log_coefficient", &SufficientStatistics::log_coefficient)
      .def("has_table", [](const SufficientStatistics& self, std::size_t column) {
            if (column > self.n_categories()) throw py::index_error("column must be at most K (the totals)");
            return self.column(column).has_table();
          }, py::arg("column"), "Whether a category (K: the totals) is evaluated over its table; else over pairs.")
      .def("pairs", [](const SufficientStatistics& self, std::size_t column) {
            if (column > self.n_categories()) throw py::index_error("column must be at most K (the totals)");
            const auto [values, weights] = self.column(column).pairs();
            return py::make_tuple(copy_of(values), copy_of(weights));
          }, py::arg("column"), "The distinct counts of a category (K: the totals) and how often each occurs.")
      .def(
          "log_likelihood",
          [](const SufficientStatistics& self, const Doubles& concentration, Doubles value, const std::optional<Doubles>& gradient, int n_threads, bool coefficient) {
            const std::size_t k = self.n_categories();
            const std::size_t n = need_concentrations(self, concentration, value);
            if (gradient && static_cast<std::size_t>(gradient->size()) != n * k) throw std::invalid_argument("gradient must have shape (S, K)");
            const double* a = concentration.data();
            double* v = value.mutable_data();
            double* g = gradient ? const_cast<Doubles&>(*gradient).mutable_data() : nullptr;
            const py::gil_scoped_release release;
            const double constant = self.log_constant(coefficient);
            parallel_for(n, 64, n_threads, [&](std::size_t begin, std::size_t end) {
              self.log_likelihood(a + begin * k, end - begin, v + begin, g ? g + begin * k : nullptr);
              for (std::size_t s = begin; s < end; ++s) v[s] += constant;
            }, poll_signals);
          },
          py::arg("concentration").noconvert(), py::arg("value").noconvert(), py::arg("gradient").noconvert(), py::arg("n_threads"),
          py::arg("coefficient") = false,
          "Writes the log-likelihood, with the coefficients or without, and the gradient unless None.")
      .def(
          "hessian",
          [](const SufficientStatistics& self, const Doubles& concentration, Doubles diagonal, Doubles constant, int n_threads) {
            const std::size_t k = self.n_categories();
            const std::size_t n = need_concentrations(self, concentration, constant);
            if (static_cast<std::size_t>(diagonal.size()) != n * k) throw std::invalid_argument("diagonal must have shape (S, K)");
            const double* a = concentration.data();
            double* d = diagonal.mutable_data();
            double* c = constant.mutable_data();
            const py::gil_scoped_release release;
            parallel_for(n, 64, n_threads, [&](std::size_t begin, std::size_t end) {
              for (std::size_t s = begin; s < end; ++s) c[s] = self.hessian(a + s * k, d + s * k);
            }, poll_signals);
          },
          py::arg("concentration").noconvert(), py::arg("diagonal").noconvert(), py::arg("constant").noconvert(), py::arg("n_threads"),
          "Writes the diagonal and the constant of the Hessian diag(diagonal) + constant.")
      .def(py::pickle(&get_state, &set_state));
  m.def(
      "logit_density",
      [](const Doubles& tables, const Doubles& concentration, const Doubles& t, const Doubles& u, Doubles value,
         const std::optional<Doubles>& slope, int n_threads) {
        if (tables.ndim() != 2 || tables.shape(0) != 3) throw std::invalid_argument("tables must have shape (3, J)");
        if (concentration.size() != 2) throw std::invalid_argument("concentration must have shape (2,)");
        const auto n = static_cast<std::size_t>(value.size());
        for (const auto* array : {&t, &u}) {
          if (static_cast<std::size_t>(array->size()) != n) throw std::invalid_argument("t, u and value must have one size");
        }
        if (slope && static_cast<std::size_t>(slope->size()) != n) throw std::invalid_argument("slope must have the size of value");
        const auto longest = static_cast<std::size_t>(tables.shape(1));
        double* v = value.mutable_data();
        double* s = slope ? const_cast<Doubles&>(*slope).mutable_data() : nullptr;
        const py::gil_scoped_release release;
        logit_density(tables.data(), longest, concentration.data(), t.data(), u.data(), n, v, s, n_threads, poll_signals);
      },
      py::arg("tables").noconvert(), py::arg("concentration").noconvert(), py::arg("t").noconvert(),
      py::arg("u").noconvert(), py::arg("value").noconvert(), py::arg("slope").noconvert(), py::arg("n_threads"),
      "Writes log p(counts, logit beta | alpha) of two categories at points (log alpha, logit), and its slope unless None.");
}

}  // namespace hbm_fast::bindings

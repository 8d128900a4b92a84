#include "bindings/array_arguments.hpp"
#include "prediction/predictive.hpp"

namespace hbm_fast::bindings {
namespace {

DrawsView to_draws(const Doubles& log_alpha, const Doubles& log_beta) {
  refuse_if(log_alpha.ndim() != 2 || log_beta.ndim() != 3, "draws must have shapes (B, S) and (B, S, K)");
  refuse_if(log_alpha.shape(0) != log_beta.shape(0) || log_alpha.shape(1) != log_beta.shape(1),
            "draws differ in (B, S)");
  return {log_alpha.data(), log_beta.data(), extent(log_beta, 0), extent(log_beta, 1), extent(log_beta, 2)};
}

PosteriorAddress to_address(const Words& key, std::uint64_t group, const Words& datasets, std::size_t n_datasets) {
  refuse_if(size_of(datasets) != n_datasets, "datasets must have shape (B,)");
  return {to_key(key), group, datasets.data()};
}

}  // namespace

void register_prediction(py::module_ m) {
  m.def(
      "draw_log_theta",
      [](const Doubles& log_alpha, const Doubles& log_beta, const Integers& rows, const Words& key, std::uint64_t group,
         const Words& datasets, Doubles out, int n_threads) {
        const DrawsView draws = to_draws(log_alpha, log_beta);
        const PosteriorAddress address = to_address(key, group, datasets, draws.n_datasets);
        refuse_if(size_of(rows) != draws.n_datasets * draws.n_categories, "rows must be (B, K)");
        refuse_if(out.size() != log_beta.size(), "out must have shape (B, S, K)");
        double* log_theta = out.mutable_data();
        without_gil([&] { draw_log_theta(draws, rows.data(), address, log_theta, n_threads, poll_signals); });
      },
      py::arg("log_alpha"), py::arg("log_beta"), py::arg("rows"), py::arg("key"), py::arg("group"), py::arg("datasets"),
      py::arg("out"), py::arg("n_threads"), "Writes log theta ~ Dirichlet(alpha beta + x) of every draw.");
  m.def(
      "group_log_pmf",
      [](const Doubles& log_alpha, const Doubles& log_beta, const Integers& rows, bool coefficient, Doubles out,
         int n_threads) {
        const DrawsView draws = to_draws(log_alpha, log_beta);
        refuse_if(rows.ndim() != 3 || rows.shape(0) != log_beta.shape(0) || rows.shape(2) != log_beta.shape(2),
                  "rows must have shape (B, R, K)");
        const auto n_rows = extent(rows, 1);
        refuse_if(size_of(out) != draws.n_datasets * draws.n_draws * n_rows, "out must have shape (B, S, R)");
        double* log_pmf = out.mutable_data();
        without_gil([&] { group_log_pmf(draws, rows.data(), n_rows, coefficient, log_pmf, n_threads, poll_signals); });
      },
      py::arg("log_alpha"), py::arg("log_beta"), py::arg("rows"), py::arg("coefficient"), py::arg("out"),
      py::arg("n_threads"), "Writes log p(x | alpha, beta) of every draw and row.");
  m.def(
      "draw_predictive_counts",
      [](const Doubles& log_theta, const Integers& totals, const Words& key, std::uint64_t group, const Words& datasets,
         Integers out, int n_threads) {
        refuse_if(log_theta.ndim() != 3 || totals.size() != log_theta.shape(0), "totals must have shape (B,)");
        refuse_if(out.size() != log_theta.size(), "out must have shape (B, S, K)");
        const auto n_datasets = extent(log_theta, 0);
        const PosteriorAddress address = to_address(key, group, datasets, n_datasets);
        std::int64_t* counts = out.mutable_data();
        without_gil([&] {
          draw_predictive_counts(log_theta.data(), n_datasets, extent(log_theta, 1), extent(log_theta, 2),
                                 totals.data(), address, counts, n_threads, poll_signals);
        });
      },
      py::arg("log_theta"), py::arg("totals"), py::arg("key"), py::arg("group"), py::arg("datasets"), py::arg("out"),
      py::arg("n_threads"), "Writes multinomial counts of every draw of theta.");
}

}  // namespace hbm_fast::bindings

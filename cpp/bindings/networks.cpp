#include "bindings/array_arguments.hpp"
#include "math/normal_tails.hpp"
#include "networks/gaussian_mixture.hpp"
#include "statistics/table_likelihood.hpp"

namespace hbm_fast::bindings {
namespace {

// z, lower and upper of shape (n,), each with a stride of its own.
template <class T>
void tails_of(const Strided<T>& z, Strided<double> lower, Strided<double> upper, int n_threads) {
  if (z.ndim() != 1 || lower.ndim() != 1 || upper.ndim() != 1 || lower.size() != z.size() || upper.size() != z.size() ||
      lower.strides(0) != upper.strides(0)) {
    throw std::invalid_argument("z, lower and upper must have shape (n,), and the last two the same stride");
  }
  const T* from = z.data();
  double* low = lower.mutable_data();
  double* high = upper.mutable_data();
  const auto size = static_cast<std::size_t>(z.size());
  const auto stride = stride_of(z, 0);
  const auto out_stride = stride_of(lower, 0);
  without_gil([&] { normal_tails(from, stride, size, low, high, out_stride, n_threads, poll_signals); });
}

MixtureView to_mixture(const Floats& mean, const Floats& lower) {
  if (mean.ndim() != 3 || lower.ndim() != 3)
    throw std::invalid_argument("mean must have shape (B, C, D) and lower (B, C, L)");
  const auto d = static_cast<std::size_t>(mean.shape(2));
  const auto n_lower = static_cast<std::size_t>(lower.shape(2));
  if (lower.shape(0) != mean.shape(0) || lower.shape(1) != mean.shape(1) || mean.shape(1) < 1 ||
      (n_lower != 0 && n_lower != d * (d - 1) / 2)) {
    throw std::invalid_argument("mean and lower do not fit each other");
  }
  return {static_cast<std::size_t>(mean.shape(0)),
          static_cast<std::size_t>(mean.shape(1)),
          d,
          n_lower,
          mean.data(),
          lower.data()};
}

}  // namespace

void register_amortize(py::module_& m) {
  m.def(
      "table_log_likelihood",
      [](const Floats& tables, const Doubles& log_alpha, const Doubles& log_beta, Doubles out, int n_threads) {
        if (tables.ndim() != 3 || tables.shape(1) < 2)
          throw std::invalid_argument("tables must have shape (B, K + 1, J)");
        const auto b = static_cast<std::size_t>(tables.shape(0));
        const auto k = static_cast<std::size_t>(tables.shape(1)) - 1;
        const auto j = static_cast<std::size_t>(tables.shape(2));
        if (log_alpha.ndim() != 2 || static_cast<std::size_t>(log_alpha.shape(0)) != b)
          throw std::invalid_argument("log_alpha must have shape (B, S)");
        const auto s = static_cast<std::size_t>(log_alpha.shape(1));
        if (static_cast<std::size_t>(log_beta.size()) != b * s * k)
          throw std::invalid_argument("log_beta must have shape (B, S, K)");
        if (static_cast<std::size_t>(out.size()) != b * s) throw std::invalid_argument("out must have shape (B, S)");
        const float* table = tables.data();
        const double* t = log_alpha.data();
        const double* u = log_beta.data();
        double* o = out.mutable_data();
        without_gil([&] { table_log_likelihood(table, b, k, j, t, u, s, o, n_threads, poll_signals); });
      },
      py::arg("tables").noconvert(), py::arg("log_alpha").noconvert(), py::arg("log_beta").noconvert(),
      py::arg("out").noconvert(), py::arg("n_threads"),
      "Writes the collapsed log-likelihood (no coefficient) of B exceedance tables at S concentrations each.");

  m.def("normal_tails", &tails_of<float>, py::arg("z").noconvert(), py::arg("lower").noconvert(),
        py::arg("upper").noconvert(), py::arg("n_threads"));
  m.def("normal_tails", &tails_of<double>, py::arg("z").noconvert(), py::arg("lower").noconvert(),
        py::arg("upper").noconvert(), py::arg("n_threads"), "Writes the logs of Phi(z) and Phi(-z).");

  m.def(
      "mixture_log_density",
      [](const Floats& mean, const Floats& lower, const Floats& constant, const Floats& scale, const Floats& z,
         Doubles out, int n_threads) {
        const MixtureView mixture = to_mixture(mean, lower);
        if (z.ndim() != 3) throw std::invalid_argument("z must have shape (B, S, D)");
        const auto n_draws = static_cast<std::size_t>(z.shape(1));
        need_size(constant, mixture.n_datasets * mixture.n_components, "constant");
        need_size(scale, static_cast<std::size_t>(mean.size()), "scale");
        need_size(z, mixture.n_datasets * n_draws * mixture.dim, "z");
        need_size(out, mixture.n_datasets * n_draws, "out");
        const float *log_constant = constant.data(), *size = scale.data(), *points = z.data();
        double* to = out.mutable_data();
        without_gil(
            [&] { mixture_log_density(mixture, log_constant, size, points, n_draws, to, n_threads, poll_signals); });
      },
      py::arg("mean").noconvert(), py::arg("lower").noconvert(), py::arg("constant").noconvert(),
      py::arg("scale").noconvert(), py::arg("z").noconvert(), py::arg("out").noconvert(), py::arg("n_threads"),
      "Writes the log densities (B, S) of B mixtures of Gaussians at z (B, S, D).");

  m.def(
      "mixture_draws",
      [](const Floats& mean, const Floats& lower, const Floats& edges, const Floats& spread, const Floats& uniform,
         const Floats& noise, Floats z, int n_threads) {
        const MixtureView mixture = to_mixture(mean, lower);
        if (uniform.ndim() != 2) throw std::invalid_argument("uniform must have shape (B, S)");
        const auto n_draws = static_cast<std::size_t>(uniform.shape(1));
        need_size(edges, mixture.n_datasets * (mixture.n_components - 1), "edges");
        need_size(spread, static_cast<std::size_t>(mean.size()), "spread");
        need_size(uniform, mixture.n_datasets * n_draws, "uniform");
        need_size(noise, mixture.n_datasets * n_draws * mixture.dim, "noise");
        need_size(z, mixture.n_datasets * n_draws * mixture.dim, "z");
        const float *cumulative = edges.data(), *size = spread.data(), *u = uniform.data(), *normal = noise.data();
        float* to = z.mutable_data();
        without_gil([&] { mixture_draws(mixture, cumulative, size, u, normal, n_draws, to, n_threads, poll_signals); });
      },
      py::arg("mean").noconvert(), py::arg("lower").noconvert(), py::arg("edges").noconvert(),
      py::arg("spread").noconvert(), py::arg("uniform").noconvert(), py::arg("noise").noconvert(),
      py::arg("z").noconvert(), py::arg("n_threads"),
      "Writes draws z (B, S, D) of B mixtures of Gaussians, from uniform and normal numbers.");
}

}  // namespace hbm_fast::bindings

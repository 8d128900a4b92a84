#include "bindings/array_arguments.hpp"
#include "math/normal_tails.hpp"
#include "networks/gaussian_mixture.hpp"

namespace hbm_fast::bindings {
namespace {

// z, lower and upper of shape (n,), each with a stride of its own.
template <class T>
void tails_of(const Strided<T>& z, Strided<double> lower, Strided<double> upper, int n_threads) {
  refuse_if(z.ndim() != 1 || lower.ndim() != 1 || upper.ndim() != 1 || lower.size() != z.size() ||
                upper.size() != z.size() || lower.strides(0) != upper.strides(0),
            "z, lower and upper must have shape (n,), and the last two the same stride");
  double* low = lower.mutable_data();
  double* high = upper.mutable_data();
  const auto size = size_of(z);
  const auto stride = stride_of(z, 0);
  const auto out_stride = stride_of(lower, 0);
  without_gil([&] { normal_tails(z.data(), stride, size, low, high, out_stride, n_threads, poll_signals); });
}

MixtureView to_mixture(const Floats& mean, const Floats& lower) {
  refuse_if(mean.ndim() != 3 || lower.ndim() != 3, "mean must have shape (B, C, D) and lower (B, C, L)");
  const auto d = extent(mean, 2);
  const auto n_lower = extent(lower, 2);
  refuse_if(lower.shape(0) != mean.shape(0) || lower.shape(1) != mean.shape(1) || mean.shape(1) < 1 ||
                (n_lower != 0 && n_lower != d * (d - 1) / 2),
            "mean and lower do not fit each other");
  return {extent(mean, 0), extent(mean, 1), d, n_lower, mean.data(), lower.data()};
}

}  // namespace

void register_networks(py::module_ m) {
  m.def("normal_tails", &tails_of<float>, py::arg("z"), py::arg("lower"), py::arg("upper"), py::arg("n_threads"));
  m.def("normal_tails", &tails_of<double>, py::arg("z"), py::arg("lower"), py::arg("upper"), py::arg("n_threads"),
        "Writes the logs of Phi(z) and Phi(-z).");

  m.def(
      "mixture_log_density",
      [](const Floats& mean, const Floats& lower, const Floats& constant, const Floats& scale, const Floats& z,
         Doubles out, int n_threads) {
        const MixtureView mixture = to_mixture(mean, lower);
        refuse_if(z.ndim() != 3, "z must have shape (B, S, D)");
        const auto n_draws = extent(z, 1);
        need_size(constant, mixture.n_datasets * mixture.n_components, "constant");
        need_size(scale, size_of(mean), "scale");
        need_size(z, mixture.n_datasets * n_draws * mixture.dim, "z");
        need_size(out, mixture.n_datasets * n_draws, "out");
        double* to = out.mutable_data();
        without_gil([&] {
          mixture_log_density(mixture, constant.data(), scale.data(), z.data(), n_draws, to, n_threads, poll_signals);
        });
      },
      py::arg("mean"), py::arg("lower"), py::arg("constant"), py::arg("scale"), py::arg("z"), py::arg("out"),
      py::arg("n_threads"), "Writes the log densities (B, S) of B mixtures of Gaussians at z (B, S, D).");

  m.def(
      "mixture_draws",
      [](const Floats& mean, const Floats& lower, const Floats& edges, const Floats& spread, const Floats& uniform,
         const Floats& noise, Floats z, int n_threads) {
        const MixtureView mixture = to_mixture(mean, lower);
        refuse_if(uniform.ndim() != 2, "uniform must have shape (B, S)");
        const auto n_draws = extent(uniform, 1);
        need_size(edges, mixture.n_datasets * (mixture.n_components - 1), "edges");
        need_size(spread, size_of(mean), "spread");
        need_size(uniform, mixture.n_datasets * n_draws, "uniform");
        need_size(noise, mixture.n_datasets * n_draws * mixture.dim, "noise");
        need_size(z, mixture.n_datasets * n_draws * mixture.dim, "z");
        float* to = z.mutable_data();
        without_gil([&] {
          mixture_draws(mixture, edges.data(), spread.data(), uniform.data(), noise.data(), n_draws, to, n_threads,
                        poll_signals);
        });
      },
      py::arg("mean"), py::arg("lower"), py::arg("edges"), py::arg("spread"), py::arg("uniform"), py::arg("noise"),
      py::arg("z"), py::arg("n_threads"),
      "Writes draws z (B, S, D) of B mixtures of Gaussians, from uniform and normal numbers.");
}

}  // namespace hbm_fast::bindings

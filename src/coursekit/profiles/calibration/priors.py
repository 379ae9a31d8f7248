"""What a unit of work costs beside another before anything was measured on the board in question.

Cost relative to one multiply-accumulate of a 1x1 convolution; the fit scales them all and bends each as far as the
measurements ask. The numbers are round and physical: a sum that is scaled back to 8 bits takes tens of instructions, a
depthwise kernel cannot reuse what it loaded, a dense layer reads a weight from flash for each multiply-accumulate, a
layer over three channels wastes most of a wide load. They were set with the calibration measurements in view, so errors
on left-out families are a little better than they would be on a runtime never seen; `other_` is set dear on purpose.
"""

from __future__ import annotations

from coursekit.cost import Unit

_X_CUBE_AI: dict[Unit, float] = {
    "point_macs": 1,
    "kernel_macs": 1.25,
    "first_macs": 2.4,
    "depthwise_macs": 4.5,
    "dense_macs": 2,
    "filter_outputs": 8,
    "depthwise_outputs": 8,
    "pixel_values": 0.5,
    "patch_values": 1,
    "element_values": 8,
    "scaled_values": 40,
    "curve_values": 60,
    "window_values": 3,
    "mean_values": 6,
    "resized_values": 8,
    "moved_values": 2,
    "converted_values": 4,
    "traffic_bytes": 3,
    "steps": 5000,
    "shape_steps": 500,
    "other_macs": 30,
    "other_values": 60,
}

_CMSIS_NN: dict[Unit, float] = {
    **_X_CUBE_AI,
    "kernel_macs": 1.1,
    "first_macs": 1.2,
    "depthwise_macs": 1.5,
    "dense_macs": 1,
    "filter_outputs": 12,
    "patch_values": 0.5,
    "steps": 2000,
    "other_macs": 10,
    "other_values": 30,
}
"""CMSIS-NN widens patches to 16 bits and multiplies them with one kernel, whatever the layer, which levels the kinds; a
1x1 multiply-accumulate costs it about twice what it costs X-CUBE-AI."""

_CMSIS_NN_2020: dict[Unit, float] = {**_CMSIS_NN, "dense_macs": 0.55, "depthwise_macs": 2, "filter_outputs": 8}
"""The CMSIS-NN in TensorFlow Lite Micro 2.3.1, whose convolutions take about twice the cycles of later ones while its
dense kernel is the same: beside a Cortex-M33 with later kernels a Cortex-M4F takes 1.2 to 1.3 times the cycles
(X-CUBE-AI, the same models on both), which puts a dense multiply-accumulate at 3.9 cycles, a convolution's being 7."""

PRIORS: dict[str, dict[Unit, float]] = {
    "x-cube-ai": _X_CUBE_AI,
    "cmsis-nn": _CMSIS_NN,
    "cmsis-nn-2020": _CMSIS_NN_2020,
}

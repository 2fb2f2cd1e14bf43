"""GENERATED from torch 2.13 by tests/modules/tables.py: `_version` of nn.Module classes.

Plain literals only: (module, version, names). A test holds it against the installed torch.
"""
# fmt: off

from __future__ import annotations

TORCH = "2.13"

ROWS: tuple[tuple[str, int, str], ...] = (
    ("torch.ao.nn.intrinsic.modules.fused", 1, (
        "BNReLU2d BNReLU3d ConvAdd2d ConvAddReLU2d ConvBn1d ConvBn2d ConvBn3d ConvBnReLU1d ConvBnReLU2d "
        "ConvBnReLU3d ConvReLU1d ConvReLU2d ConvReLU3d LinearBn1d LinearLeakyReLU LinearReLU LinearTanh "
        "_FusedModule"
    )),
    ("torch.ao.nn.intrinsic.qat.modules.conv_fused", 1, "ConvReLU1d ConvReLU2d ConvReLU3d"),
    ("torch.ao.nn.intrinsic.qat.modules.conv_fused", 2, (
        "ConvBn1d ConvBn2d ConvBn3d ConvBnReLU1d ConvBnReLU2d ConvBnReLU3d _ConvBnNd"
    )),
    ("torch.ao.nn.intrinsic.qat.modules.linear_fused", 1, "LinearBn1d"),
    ("torch.ao.nn.intrinsic.qat.modules.linear_relu", 1, "LinearReLU"),
    ("torch.ao.nn.intrinsic.quantized.modules.bn_relu", 2, "BNReLU2d BNReLU3d"),
    ("torch.ao.nn.qat.dynamic.modules.linear", 1, "Linear"),
    ("torch.ao.nn.qat.modules.conv", 1, "Conv1d Conv2d Conv3d _ConvNd"),
    ("torch.ao.nn.qat.modules.embedding_ops", 1, "Embedding EmbeddingBag"),
    ("torch.ao.nn.qat.modules.linear", 1, "Linear"),
    ("torch.ao.nn.quantizable.modules.activation", 1, "MultiheadAttention"),
    ("torch.ao.nn.quantizable.modules.rnn", 1, "LSTM LSTMCell _LSTMLayer _LSTMSingleLayer"),
    ("torch.ao.nn.quantized.dynamic.modules.rnn", 2, "GRU LSTM RNNBase"),
    ("torch.ao.nn.quantized.modules", 1, "DeQuantize Quantize"),
    ("torch.ao.nn.quantized.modules.activation", 1, (
        "ELU Hardswish LeakyReLU MultiheadAttention PReLU ReLU6 Sigmoid Softmax"
    )),
    ("torch.ao.nn.quantized.modules.batchnorm", 2, "BatchNorm2d BatchNorm3d _BatchNorm"),
    ("torch.ao.nn.quantized.modules.dropout", 1, "Dropout"),
    ("torch.ao.nn.quantized.modules.embedding_ops", 1, "Embedding EmbeddingBag"),
    ("torch.ao.nn.quantized.modules.functional_modules", 1, "FXFloatFunctional FloatFunctional"),
    ("torch.ao.nn.quantized.modules.normalization", 1, "GroupNorm LayerNorm"),
    ("torch.ao.nn.quantized.modules.normalization", 2, "InstanceNorm1d InstanceNorm2d InstanceNorm3d"),
    ("torch.ao.nn.quantized.modules.rnn", 1, "LSTM"),
    ("torch.ao.nn.quantized.modules.utils", 1, "WeightedQuantizedModule"),
    ("torch.ao.nn.quantized.reference.modules.rnn", 1, "GRU GRUCell LSTM LSTMCell RNNBase RNNCell RNNCellBase"),
    ("torch.ao.quantization", 1, "_DerivedObserverOrFakeQuantize"),
    ("torch.ao.quantization.fake_quantize", 1, (
        "FakeQuantize FakeQuantizeBase FixedQParamsFakeQuantize FusedMovingAvgObsFakeQuantize"
    )),
    ("torch.ao.quantization.observer", 1, (
        "AffineQuantizedObserverBase FixedQParamsObserver NoopObserver ObserverBase PlaceholderObserver "
        "RecordingObserver ReuseInputObserver"
    )),
    ("torch.ao.quantization.observer", 3, (
        "HistogramObserver MinMaxObserver MovingAverageMinMaxObserver "
        "MovingAveragePerChannelMinMaxObserver PerChannelMinMaxObserver UniformQuantizationObserverBase"
    )),
    ("torch.ao.quantization.stubs", 1, "DeQuantStub QuantStub QuantWrapper"),
    ("torch.nn.modules.activation", 1, (
        "CELU ELU GELU GLU Hardshrink Hardsigmoid Hardswish Hardtanh LeakyReLU LogSigmoid LogSoftmax "
        "Mish MultiheadAttention PReLU RReLU ReLU ReLU6 SELU SiLU Sigmoid Softmax Softmax2d Softmin "
        "Softplus Softshrink Softsign Tanh Tanhshrink Threshold"
    )),
    ("torch.nn.modules.adaptive", 1, "AdaptiveLogSoftmaxWithLoss"),
    ("torch.nn.modules.batchnorm", 2, (
        "BatchNorm1d BatchNorm2d BatchNorm3d LazyBatchNorm1d LazyBatchNorm2d LazyBatchNorm3d "
        "SyncBatchNorm _BatchNorm _LazyNormBase _NormBase"
    )),
    ("torch.nn.modules.channelshuffle", 1, "ChannelShuffle"),
    ("torch.nn.modules.container", 1, "Container ModuleDict ModuleList ParameterDict ParameterList Sequential"),
    ("torch.nn.modules.conv", 1, (
        "Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d LazyConv1d LazyConv2d "
        "LazyConv3d LazyConvTranspose1d LazyConvTranspose2d LazyConvTranspose3d _ConvNd "
        "_ConvTransposeMixin _ConvTransposeNd"
    )),
    ("torch.nn.modules.distance", 1, "CosineSimilarity PairwiseDistance"),
    ("torch.nn.modules.dropout", 1, (
        "AlphaDropout Dropout Dropout1d Dropout2d Dropout3d FeatureAlphaDropout _DropoutNd"
    )),
    ("torch.nn.modules.flatten", 1, "Flatten Unflatten"),
    ("torch.nn.modules.fold", 1, "Fold Unfold"),
    ("torch.nn.modules.instancenorm", 2, (
        "InstanceNorm1d InstanceNorm2d InstanceNorm3d LazyInstanceNorm1d LazyInstanceNorm2d "
        "LazyInstanceNorm3d _InstanceNorm"
    )),
    ("torch.nn.modules.linear", 1, "Bilinear Identity LazyLinear Linear NonDynamicallyQuantizableLinear"),
    ("torch.nn.modules.loss", 1, (
        "BCELoss BCEWithLogitsLoss CTCLoss CosineEmbeddingLoss CrossEntropyLoss GaussianNLLLoss "
        "HingeEmbeddingLoss HuberLoss KLDivLoss L1Loss LinearCrossEntropyLoss MSELoss MarginRankingLoss "
        "MultiLabelMarginLoss MultiLabelSoftMarginLoss MultiMarginLoss NLLLoss NLLLoss2d PoissonNLLLoss "
        "SmoothL1Loss SoftMarginLoss TripletMarginLoss TripletMarginWithDistanceLoss _Loss _WeightedLoss"
    )),
    ("torch.nn.modules.module", 1, "Module"),
    ("torch.nn.modules.normalization", 1, "CrossMapLRN2d GroupNorm LayerNorm LocalResponseNorm RMSNorm"),
    ("torch.nn.modules.padding", 1, (
        "CircularPad1d CircularPad2d CircularPad3d ConstantPad1d ConstantPad2d ConstantPad3d "
        "ReflectionPad1d ReflectionPad2d ReflectionPad3d ReplicationPad1d ReplicationPad2d "
        "ReplicationPad3d ZeroPad1d ZeroPad2d ZeroPad3d _CircularPadNd _ConstantPadNd _ReflectionPadNd "
        "_ReplicationPadNd"
    )),
    ("torch.nn.modules.pixelshuffle", 1, "PixelShuffle PixelUnshuffle"),
    ("torch.nn.modules.pooling", 1, (
        "AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d "
        "AdaptiveMaxPool3d AvgPool1d AvgPool2d AvgPool3d FractionalMaxPool2d FractionalMaxPool3d "
        "LPPool1d LPPool2d LPPool3d MaxPool1d MaxPool2d MaxPool3d MaxUnpool1d MaxUnpool2d MaxUnpool3d "
        "_AdaptiveAvgPoolNd _AdaptiveMaxPoolNd _AvgPoolNd _LPPoolNd _MaxPoolNd _MaxUnpoolNd"
    )),
    ("torch.nn.modules.rnn", 1, "GRU GRUCell LSTM LSTMCell RNN RNNBase RNNCell RNNCellBase"),
    ("torch.nn.modules.sparse", 1, "Embedding EmbeddingBag"),
    ("torch.nn.modules.transformer", 1, (
        "Transformer TransformerDecoder TransformerDecoderLayer TransformerEncoder "
        "TransformerEncoderLayer"
    )),
    ("torch.nn.modules.upsampling", 1, "Upsample UpsamplingBilinear2d UpsamplingNearest2d"),
    ("torch.nn.parallel", 1, "DistributedDataParallelCPU"),
    ("torch.nn.parallel.data_parallel", 1, "DataParallel"),
    ("torch.nn.parallel.distributed", 1, "DistributedDataParallel"),
    ("torch.nn.utils.parametrizations", 1, "_Orthogonal _SpectralNorm _WeightNorm"),
    ("torch.nn.utils.parametrize", 1, "ParametrizationList"),
)

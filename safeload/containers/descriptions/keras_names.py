"""The names of Keras that a configuration may hold: data to review, and nothing else.

Each name was reviewed with one question: what is the worst that building it, from any configuration, could do? The
answer for all of them is: compute, take memory, or refuse. A name that reads files, loads models, imports, fetches, or
builds code from data is not here. Taken from the exported names of Keras 3.15, from its operations (which functional
models hold as layers), and from Keras 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_CLASSES = {
    "keras": """
        DTypePolicy FloatDTypePolicy Initializer InputSpec Layer Loss Metric Model Operation Optimizer
        Quantizer Regularizer Sequential
    """,
    "keras.constraints": """
        Constraint MaxNorm MinMaxNorm NonNeg UnitNorm
    """,
    "keras.dtype_policies": """
        AWQDTypePolicy DTypePolicyMap GPTQDTypePolicy Int4DTypePolicy QuantizedDTypePolicy
        QuantizedFloat8DTypePolicy
    """,
    "keras.initializers": """
        Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity LecunNormal LecunUniform Ones
        Orthogonal RandomNormal RandomUniform STFT TruncatedNormal VarianceScaling Zeros
    """,
    "keras.layers": """
        AbstractRNNCell Activation ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D
        AdaptiveAveragePooling3D AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D Add
        AdditiveAttention AlphaDropout Attention AugMix AutoContrast Average AveragePooling1D
        AveragePooling2D AveragePooling3D BatchNormalization Bidirectional CategoryEncoding CenterCrop
        Concatenate ContrastLimitedAdaptiveHistogramEqualization Conv1D Conv1DTranspose Conv2D
        Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D Cropping1D Cropping2D
        Cropping3D CuDNNGRU CuDNNLSTM CutMix Dense DenseFeatures DepthwiseConv1D DepthwiseConv2D
        Discretization Dot Dropout ELU EinsumDense Embedding Equalization Flatten GRU GRUCell
        GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D
        GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D GroupNormalization GroupQueryAttention
        HashedCrossing Hashing Identity InputLayer IntegerLookup LSTM LSTMCell LayerNormalization LeakyReLU
        LocallyConnected1D LocallyConnected2D Masking MaxNumBoundingBoxes MaxPooling1D MaxPooling2D
        MaxPooling3D Maximum MelSpectrogram Minimum MixUp MultiHeadAttention Multiply Normalization PReLU
        Permute Pipeline RMSNormalization RNN RandAugment RandomBrightness RandomColorDegeneration
        RandomColorJitter RandomContrast RandomCrop RandomElasticTransform RandomErasing RandomFlip
        RandomGaussianBlur RandomGrayscale RandomHeight RandomHue RandomInvert RandomPerspective
        RandomPosterization RandomRotation RandomSaturation RandomSharpness RandomShear RandomTranslation
        RandomWidth RandomZoom ReLU RepeatVector Rescaling Reshape Resizing ReversibleEmbedding
        STFTSpectrogram SeparableConv1D SeparableConv2D SimpleRNN SimpleRNNCell Softmax Solarization
        SpatialDropout1D SpatialDropout2D SpatialDropout3D SpectralNormalization StackedRNNCells
        StringLookup Subtract SyncBatchNormalization TextVectorization ThresholdedReLU TimeDistributed
        UnitNormalization UpSampling1D UpSampling2D UpSampling3D Wrapper ZeroPadding1D ZeroPadding2D
        ZeroPadding3D
    """,
    "keras.losses": """
        BinaryCrossentropy BinaryFocalCrossentropy CTC CategoricalCrossentropy CategoricalFocalCrossentropy
        CategoricalGeneralizedCrossEntropy CategoricalHinge Circle CosineSimilarity Dice Hinge Huber
        KLDivergence LogCosh MeanAbsoluteError MeanAbsolutePercentageError MeanSquaredError
        MeanSquaredLogarithmicError Poisson SparseCategoricalCrossentropy SquaredHinge Tversky
    """,
    "keras.metrics": """
        AUC Accuracy BinaryAccuracy BinaryCrossentropy BinaryIoU CategoricalAccuracy CategoricalCrossentropy
        CategoricalHinge ConcordanceCorrelation CosineSimilarity F1Score FBetaScore FalseNegatives
        FalsePositives Hinge IoU KLDivergence LogCoshError Mean MeanAbsoluteError
        MeanAbsolutePercentageError MeanIoU MeanMetricWrapper MeanSquaredError MeanSquaredLogarithmicError
        OneHotIoU OneHotMeanIoU PearsonCorrelation Poisson Precision PrecisionAtRecall R2Score Recall
        RecallAtPrecision RootMeanSquaredError SensitivityAtSpecificity SparseCategoricalAccuracy
        SparseCategoricalCrossentropy SparseTopKCategoricalAccuracy SpecificityAtSensitivity SquaredHinge
        Sum TopKCategoricalAccuracy TrueNegatives TruePositives
    """,
    "keras.optimizers": """
        Adadelta Adafactor Adagrad Adam AdamW Adamax Ftrl Lamb Lion LossScaleOptimizer MultiOptimizer Muon
        Nadam RMSprop SGD ScheduleFreeAdamW
    """,
    "keras.optimizers.schedules": """
        CosineDecay CosineDecayRestarts ExponentialDecay InverseTimeDecay LearningRateSchedule
        PiecewiseConstantDecay PolynomialDecay
    """,
    "keras.quantizers": """
        AWQConfig AbsMaxQuantizer Float8QuantizationConfig GPTQConfig Int4QuantizationConfig
        Int8QuantizationConfig QuantizationConfig
    """,
    "keras.random": """
        SeedGenerator
    """,
    "keras.regularizers": """
        L1 L1L2 L2 OrthogonalRegularizer
    """,
    "keras.mixed_precision": """
        LossScaleOptimizer Policy
    """,
    "keras.models": """
        Functional Model Sequential
    """,
    "keras.optimizers.legacy": """
        Adadelta Adagrad Adam Adamax Ftrl Nadam RMSprop SGD
    """,
    "keras.optimizers.experimental": """
        Adadelta Adafactor Adagrad Adam AdamW Adamax Ftrl Lion Nadam RMSprop SGD
    """,
    "keras.utils": """
        FeatureSpace
    """,
    "keras.engine.functional": """
        Functional
    """,
    "keras.src.engine.functional": """
        Functional
    """,
    "keras.src.models.functional": """
        Functional
    """,
    "keras.engine.sequential": """
        Sequential
    """,
    "keras.src.engine.sequential": """
        Sequential
    """,
    "keras.src.layers.preprocessing.feature_space": """
        Cross Feature TFDConcat TFDIdentity
    """,
    "keras.src.activations.activations": """
        Mish ReLU
    """,
    "keras.src.applications.convnext": """
        LayerScale StochasticDepth
    """,
    "keras.src.applications.inception_resnet_v2": """
        CustomScaleLayer
    """,
    "keras.src.backend.torch.optimizers.torch_adadelta": """
        Adadelta
    """,
    "keras.src.backend.torch.optimizers.torch_adagrad": """
        Adagrad
    """,
    "keras.src.backend.torch.optimizers.torch_adam": """
        Adam
    """,
    "keras.src.backend.torch.optimizers.torch_adamax": """
        Adamax
    """,
    "keras.src.backend.torch.optimizers.torch_adamw": """
        AdamW
    """,
    "keras.src.backend.torch.optimizers.torch_lion": """
        Lion
    """,
    "keras.src.backend.torch.optimizers.torch_nadam": """
        Nadam
    """,
    "keras.src.backend.torch.optimizers.torch_rmsprop": """
        RMSprop
    """,
    "keras.src.backend.torch.optimizers.torch_sgd": """
        SGD
    """,
    "keras.src.ops.core": """
        AssociativeScan Cast Cond ConvertToTensor ForiLoop Map SaturateCast Scan Scatter ScatterUpdate Slice
        SliceUpdate StopGradient Switch Unstack VectorizedMap WhileLoop
    """,
    "keras.src.ops.einops": """
        Rearrange
    """,
    "keras.src.ops.image": """
        AffineTransform CropImages ElasticTransform ExtractPatches GaussianBlur HSVToRGB MapCoordinates
        PadImages PerspectiveTransform RGBToGrayscale RGBToHSV Resize SSIM ScaleAndTranslate SobelEdges
    """,
    "keras.src.ops.linalg": """
        Cholesky CholeskyInverse Det Eig Eigh Inv JVP Lstsq LuFactor MatrixRank Norm Pinv Qr SVD Solve
        SolveTriangular
    """,
    "keras.src.ops.math": """
        CDist Erf Erfc Erfinv ExtractSequences FFT FFT2 IFFT2 IRFFT ISTFT InTopK Logdet Logsumexp RFFT Rsqrt
        STFT SegmentMax SegmentMin SegmentProd SegmentReduction SegmentSum TopK ViewAsComplex ViewAsReal
    """,
    "keras.src.ops.nn": """
        AdaptiveAveragePool AdaptiveMaxPool AveragePool BatchNorm BinaryCrossentropy CTCDecode CTCLoss
        CategoricalCrossentropy Celu Conv ConvTranspose DepthToSpace DepthwiseConv DotProductAttention Elu
        Fold Gelu Glu HardShrink HardSigmoid HardSilu HardTanh LayerNorm LeakyRelu LogSigmoid LogSoftmax
        MaxPool Moments MultiHot Normalize OneHot PSNR Polar RMSNorm Relu Relu6 Selu SeparableConv Sigmoid
        Silu SoftShrink Softmax Softplus Softsign SpaceToDepth SparseCategoricalCrossentropy SparsePlus
        SparseSigmoid Sparsemax Squareplus TanhShrink Threshold Unfold
    """,
    "keras.src.ops.numpy": """
        Abs Absolute Add All AllClose Amax Amin Angle Any Append Arange Arccos Arccosh Arcsin Arcsinh Arctan
        Arctan2 Arctanh Argmax Argmin Argpartition Argsort Array ArraySplit Average Bincount BitwiseAnd
        BitwiseInvert BitwiseLeftShift BitwiseNot BitwiseOr BitwiseRightShift BitwiseXor BroadcastTo Cbrt
        Ceil Clip Concatenate Conj Conjugate Copy Corrcoef Correlate Cos Cosh CountNonzero Cross Cumprod
        Cumsum Deg2rad Diag Diagflat Diagonal Diff Digitize Divide DivideNoNan Dot Dsplit Dstack Einsum
        EmptyLike Equal Exp Exp2 ExpandDims Expm1 Fabs Flip Fliplr Flipud Floor FloorDivide Fmax Fmin Fmod
        Full FullLike Gcd Geomspace GetItem Greater GreaterEqual Heaviside Histogram Hsplit Hstack Hypot I0
        Imag Inner IsIn Isclose Isfinite Isinf Isnan Isneginf Isposinf Isreal Kron Lcm Ldexp LeftShift Less
        LessEqual Linspace Log Log10 Log1p Log2 Logaddexp Logaddexp2 LogicalAnd LogicalNot LogicalOr
        LogicalXor Logspace Matmul Max Maximum Mean Median Meshgrid Min Minimum Mod Moveaxis Multiply
        NanToNum Nanargmax Nanargmin Nancumprod Nancumsum Nanmax Nanmean Nanmedian Nanmin Nanpercentile
        Nanprod Nanquantile Nanstd Nansum Nanvar Ndim Negative Nextafter Nonzero NotEqual OnesLike Outer Pad
        Percentile Power Prod Ptp Quantile Rad2deg Ravel Real Reciprocal Repeat Reshape RightShift Roll
        Rot90 Round SearchSorted Select Sign Signbit Sin Sinc Sinh Size Slogdet Sort Split Sqrt Square
        Squeeze Stack Std Subtract Sum Swapaxes Take TakeAlongAxis Tan Tanh Tensordot Tile Trace Transpose
        Trapezoid Tril Triu TrueDivide Trunc Unique UnravelIndex Vander Var Vdot View Vsplit Vstack Where
        ZerosLike
    """,
}

_FUNCTIONS = {
    "keras.activations": """
        celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh hardsigmoid
        hardtanh leaky_relu linear log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink
        softmax softplus softsign sparse_plus sparse_sigmoid sparsemax squareplus swish tanh tanh_shrink
        threshold
    """,
    "keras.losses": """
        BCE KLD MAE MAPE MSE MSLE bce binary_crossentropy binary_focal_crossentropy categorical_crossentropy
        categorical_focal_crossentropy categorical_generalized_cross_entropy categorical_hinge circle
        cosine_similarity ctc dice hinge huber kl_divergence kld kullback_leibler_divergence log_cosh
        logcosh mae mape mean_absolute_error mean_absolute_percentage_error mean_squared_error
        mean_squared_logarithmic_error mse msle poisson sparse_categorical_crossentropy squared_hinge
        tversky
    """,
    "keras.metrics": """
        BCE KLD MAE MAPE MSE MSLE bce binary_accuracy binary_crossentropy binary_focal_crossentropy
        categorical_accuracy categorical_crossentropy categorical_focal_crossentropy categorical_hinge
        concordance_correlation cosine_similarity hinge kl_divergence kld kullback_leibler_divergence
        log_cosh logcosh mae mape mean_absolute_error mean_absolute_percentage_error mean_squared_error
        mean_squared_logarithmic_error mse msle pearson_correlation poisson sparse_categorical_accuracy
        sparse_categorical_crossentropy sparse_top_k_categorical_accuracy squared_hinge
        top_k_categorical_accuracy
    """,
    "keras.ops": """
        abs absolute adaptive_average_pool adaptive_max_pool add all allclose amax amin angle any append
        arange arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin argpartition argsort array
        array_split associative_scan average average_pool bartlett batch_normalization binary_crossentropy
        bincount bitwise_and bitwise_invert bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift
        bitwise_xor blackman broadcast_to cast categorical_crossentropy cbrt cdist ceil celu cholesky
        cholesky_inverse clip concatenate cond conj conjugate conv conv_transpose convert_to_numpy
        convert_to_tensor copy corrcoef correlate cos cosh count_nonzero cross ctc_decode ctc_loss cumprod
        cumsum deg2rad depth_to_space depthwise_conv det diag diagflat diagonal diff digitize divide
        divide_no_nan dot dot_product_attention dsplit dstack dtype eig eigh einsum elu empty empty_like
        equal erf erfc erfinv exp exp2 expand_dims expm1 extract_sequences eye fabs fft fft2 flip fliplr
        flipud floor floor_divide fmax fmin fmod fold fori_loop full full_like gcd gelu geomspace get_item
        glu greater greater_equal hamming hanning hard_shrink hard_sigmoid hard_silu hard_tanh heaviside
        histogram hsplit hstack hypot i0 identity ifft2 imag in_top_k inner inv irfft is_tensor isclose
        isfinite isin isinf isnan isneginf isposinf isreal istft jvp kaiser kron layer_normalization lcm
        ldexp leaky_relu left_shift less less_equal linspace log log10 log1p log2 log_sigmoid log_softmax
        logaddexp logaddexp2 logdet logical_and logical_not logical_or logical_xor logspace logsumexp lstsq
        lu_factor map matmul matrix_rank max max_pool maximum mean median meshgrid min minimum mod moments
        moveaxis multi_hot multiply nan_to_num nanargmax nanargmin nancumprod nancumsum nanmax nanmean
        nanmedian nanmin nanpercentile nanprod nanquantile nanstd nansum nanvar ndim negative nextafter
        nonzero norm normalize not_equal one_hot ones ones_like outer pad percentile pinv polar power prod
        psnr ptp qr quantile rad2deg ravel real rearrange reciprocal relu relu6 repeat reshape rfft
        right_shift rms_normalization roll rot90 round rsqrt saturate_cast scan scatter scatter_update
        searchsorted segment_max segment_min segment_prod segment_sum select selu separable_conv shape
        sigmoid sign signbit silu sin sinc sinh size slice slice_update slogdet soft_shrink softmax softplus
        softsign solve solve_triangular sort space_to_depth sparse_categorical_crossentropy sparse_plus
        sparse_sigmoid sparsemax split sqrt square squareplus squeeze stack std stft stop_gradient subtract
        sum svd swapaxes switch take take_along_axis tan tanh tanh_shrink tensordot threshold tile top_k
        trace transpose trapezoid tri tril triu true_divide trunc unfold unique unravel_index unstack vander
        var vdot vectorize vectorized_map view view_as_complex view_as_real vsplit vstack where while_loop
        zeros zeros_like
    """,
    "keras.ops.image": """
        affine_transform crop_images elastic_transform extract_patches extract_patches_3d gaussian_blur
        hsv_to_rgb map_coordinates pad_images perspective_transform resize rgb_to_grayscale rgb_to_hsv
        scale_and_translate sobel_edges ssim
    """,
    "keras.random": """
        beta binomial categorical dropout gamma normal randint shuffle truncated_normal uniform
    """,
    "keras.layers": """
        add average concatenate dot maximum minimum multiply subtract
    """,
}

_OLD = """
    AutoCastVariable BatchNormalizationV1 BatchNormalizationV2 Convolution1D Convolution2D Convolution3D
    Deconvolution2D Deconvolution3D SeparableConvolution2D MaxPool1D MaxPool2D MaxPool3D AvgPool1D AvgPool2D
    AvgPool3D GlobalAvgPool2D GlobalMaxPool2D GRUV1 GRUV2 LSTMV1 LSTMV2 Highway MaxoutDense Merge
    SpatialDropout2D GlorotNormalV2 GlorotUniformV2 HeNormalV2 HeUniformV2 LecunNormalV2 LecunUniformV2 OnesV2
    ZerosV2 ConstantV2 IdentityV2 OrthogonalV2 RandomNormalV2 RandomUniformV2 TruncatedNormalV2
    VarianceScalingV2 SlicingOpLambda
"""

_TENSORFLOW = """
    abs add add_n argmax argmin broadcast_to cast clip_by_value concat convert_to_tensor cos cumsum divide einsum equal
    exp expand_dims eye fill floor gather gather_nd greater greater_equal identity less less_equal logical_and
    logical_not logical_or matmul maximum meshgrid minimum multiply negative norm not_equal one_hot ones ones_like pad
    pow range rank realdiv reduce_all reduce_any reduce_max reduce_mean reduce_min reduce_prod reduce_sum repeat reshape
    reverse roll round scatter_nd shape sigmoid sign sin size slice sort split sqrt square squeeze stack stop_gradient
    strided_slice subtract tanh tensordot tile transpose truediv unstack where zeros zeros_like
"""


def _tables(texts: Mapping[str, str]) -> Mapping[str, frozenset[str]]:
    return MappingProxyType({module: frozenset(text.split()) for module, text in texts.items()})


CLASSES = _tables(_CLASSES)
"""Module -> its classes."""

FUNCTIONS = _tables(_FUNCTIONS)
"""Module -> its functions."""

ANY_CLASS = frozenset(_OLD.split()).union(*CLASSES.values())
"""Class names that stand without a module, as Keras 2 writes them."""

BUILTIN = frozenset[str]().union(*(FUNCTIONS[f"keras.{part}"] for part in ("activations", "losses", "metrics")))
"""Functions that a configuration names with the module "builtins": Keras looks in its own modules first."""

MODELLING = frozenset(module for module in CLASSES if module.count(".") == 1 and module != "keras.utils")
"""Public modules that hold only layers, losses and the like: also what a later Keras adds to them."""

TENSORFLOW = frozenset(_TENSORFLOW.split())
"""Functions of TensorFlow that a TFOpLambda of Keras 2 may name, beside those of whole modules."""

TENSORFLOW_MODULES = ("math.", "nn.", "linalg.", "bitwise.", "signal.", "__operators__.")
"""Modules of TensorFlow that only compute."""

TYPE_SPECS = frozenset(("IndexedSlicesSpec", "RaggedTensorSpec", "SparseTensorSpec", "TensorSpec"))
"""Classes of TensorFlow that describe the shape of a tensor."""

"""Prune 80 % + cluster 16 + int8 on MNIST: accuracy and zipped bytes, tfcompress beside tfmot's own pipeline.

Both arms start from the same float net (trained once per seed) and train on for the same number of epochs: tfmot
prunes, then clusters, then quantizes after training; tfcompress does all three at once with one callback.

    python tests/bench/against_tfmot.py --data FOLDER [--nets tutorial,lenet300,lenet5] [--seeds 0,1,2]
        [--float 6 --prune 3 --cluster 1]
"""

import argparse
import gzip
import os
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import tfcompress as tfc
from tfcompress.datasets.mnist import load_mnist
from tfcompress.demo import networks

BATCH = 128


def loss(k):
    return k.losses.SparseCategoricalCrossentropy(from_logits=True)


def train_float(name, data, seed, epochs):
    keras.utils.set_random_seed(seed)
    model = getattr(networks, name)()
    model.compile(keras.optimizers.Adam(), loss(keras), metrics=["accuracy"])
    model.fit(data.x_train, data.y_train, batch_size=BATCH, epochs=epochs, verbose=0)
    return model


def ours(model, data, seed, epochs):
    keras.utils.set_random_seed(seed)
    model.compile(keras.optimizers.Adam(), loss(keras), metrics=["accuracy"])
    compression = tfc.Compression([tfc.Prune(0.8), tfc.Cluster(16), tfc.Quantize("int8")], verbose=0)
    model.fit(data.x_train, data.y_train, batch_size=BATCH, epochs=epochs, verbose=0, callbacks=[compression])
    return compression.convert(calibration=data.x_train[:200])


def tfmots(model, data, seed, prune_epochs, cluster_epochs):
    import tensorflow_model_optimization as tfmot
    import tf_keras
    from tf_nets import twin

    tf_keras.utils.set_random_seed(seed)
    steps = -(-len(data.x_train) // BATCH) * prune_epochs
    pruned = tfmot.sparsity.keras.prune_low_magnitude(
        twin(model), pruning_schedule=tfmot.sparsity.keras.PolynomialDecay(0.0, 0.8, 0, steps)
    )
    fit = {"batch_size": BATCH, "verbose": 0}
    pruned.compile(tf_keras.optimizers.Adam(), loss(tf_keras), metrics=["accuracy"])
    pruned.fit(
        data.x_train, data.y_train, epochs=prune_epochs, callbacks=[tfmot.sparsity.keras.UpdatePruningStep()], **fit
    )
    pruned = tfmot.sparsity.keras.strip_pruning(pruned)
    start = tfmot.clustering.keras.CentroidInitialization.KMEANS_PLUS_PLUS
    clustered = tfmot.clustering.keras.cluster_weights(pruned, number_of_clusters=16, cluster_centroids_init=start)
    clustered.compile(tf_keras.optimizers.Adam(1e-4), loss(tf_keras), metrics=["accuracy"])
    clustered.fit(data.x_train, data.y_train, epochs=cluster_epochs, **fit)
    return post_training(tfmot.clustering.keras.strip_clustering(clustered), data)


def post_training(model, data):
    """TensorFlow's own full-integer conversion, batch 1."""
    x = data.x_train
    with tempfile.TemporaryDirectory() as folder:
        call = tf.function(lambda image: model(image)).get_concrete_function(
            tf.TensorSpec((1, *x.shape[1:]), tf.float32)
        )
        tf.saved_model.save(model, folder, signatures=call)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([x[k : k + 1]] for k in range(200))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        return tfc.Artifact(converter.convert(), {})


def score(artifact, data):
    return float(np.mean(artifact.predict(data.x_test).argmax(1) == data.y_test))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--nets", default="tutorial,lenet300,lenet5")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--float", type=int, default=6)
    parser.add_argument("--prune", type=int, default=3)
    parser.add_argument("--cluster", type=int, default=1)
    parser.add_argument("--no-tfmot", action="store_true")
    args = parser.parse_args()
    data = load_mnist(args.data)
    print(f"{'net':<9} {'seed':>4} {'arm':<11} {'accuracy':>8} {'raw B':>8} {'gzip B':>8} {'seconds':>7}")
    means = {}
    for name in args.nets.split(","):
        for seed in map(int, args.seeds.split(",")):
            model = train_float(name, data, seed, args.float)
            arms = {"tfmot": lambda m: tfmots(m, data, seed, args.prune, args.cluster)}  # noqa: B023
            arms["tfcompress"] = lambda m: ours(m, data, seed, args.prune + args.cluster)  # noqa: B023
            for arm in list(arms)[args.no_tfmot :]:
                began = time.perf_counter()
                artifact = arms[arm](model)
                row = score(artifact, data), artifact.size, len(gzip.compress(artifact.content, 9))
                means.setdefault((name, arm), []).append(row)
                seconds = time.perf_counter() - began
                print(
                    f"{name:<9} {seed:>4} {arm:<11} {row[0]:>8.4f} {row[1]:>8,} {row[2]:>8,} {seconds:>7.0f}",
                    flush=True,
                )
    for (name, arm), rows in means.items():
        a, raw, gz = np.mean(rows, axis=0)
        print(f"mean {name:<9} {arm:<11} accuracy {a:.4f} raw {raw:,.0f} gzip {gz:,.0f}")


if __name__ == "__main__":
    main()

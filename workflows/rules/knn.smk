# Features of slides and reference, then each slide labelled by its nearest labelled neighbours.
rule embed:
    input:
        grids=f"{OUT}/shards/{{shard}}/grids.csv",
        slides=f"{OUT}/shards/{{shard}}/usable.csv",
        weights=WEIGHTS,
    output:
        f"{OUT}/shards/{{shard}}/features.csv",
    log:
        f"{OUT}/logs/embed/{{shard}}.log",
    params:
        run=RUNNER,
        patches=subpath(input.grids, strip_suffix=".csv"),
        backbone=config["backbone"],
        weights=config["weights"],
        options=config["options"]["embed"],
        out=f"{OUT}/knn/features",
    threads: 2
    resources:
        mem_mb=lambda wildcards, attempt: 6000 * attempt,
        runtime=minutes(120, 20),
        gpu=min(1, config["gpu"]),
    conda:
        "../envs/histocnn.yaml"
    shell:
        "python {params.run:q} {input.grids:q} {output:q} {params.out:q} .h5"
        " histocnn embed --patches {params.patches:q} --slides {input.slides:q}"
        " --backbone {params.backbone:q}"
        " --weights {params.weights:q}"
        " --threads {threads} {params.options} --out {params.out:q} > {log:q} 2>&1"


rule reference:
    input:
        patches=REFERENCE or [],
        weights=WEIGHTS,
    output:
        f"{OUT}/knn/reference/{{name}}.h5",
    log:
        f"{OUT}/logs/reference/{{name}}.log",
    params:
        backbone=config["backbone"],
        weights=config["weights"],
        options=f"{config['options']['embed']} {config['options']['reference']}",
        out=subpath(output[0], parent=True),
    threads: 2
    resources:
        mem_mb=lambda wildcards, attempt: 6000 * attempt,
        runtime=240,
        gpu=min(1, config["gpu"]),
    conda:
        "../envs/histocnn.yaml"
    shell:
        "histocnn embed --patches {input.patches:q} --backbone {params.backbone:q}"
        " --weights {params.weights:q}"
        " --threads {threads} {params.options} --out {params.out:q} > {log:q} 2>&1"


rule neighbours:
    input:
        reference=reference_features,
        features=f"{OUT}/shards/{{shard}}/features.csv",
        slides=f"{OUT}/shards/{{shard}}/usable.csv",
    output:
        f"{OUT}/shards/{{shard}}/knn-scores.csv",
    log:
        f"{OUT}/logs/neighbours/{{shard}}.log",
    params:
        run=RUNNER,
        query=subpath(input.features, strip_suffix=".csv"),
        k=config["neighbours"],
        options=config["options"]["knn"],
        reference=f"{OUT}/knn/{'reference' if REFERENCE else 'features'}",
        out=f"{OUT}/knn/scores",
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=minutes(60, 5),
        gpu=0,
    conda:
        "../envs/histocnn.yaml"
    shell:
        "python {params.run:q} {input.features:q} {output:q} {params.out:q} .h5"
        " histocnn knn --reference {params.reference:q} --query {params.query:q} --slides {input.slides:q}"
        " --k {params.k} {params.options} --out {params.out:q} > {log:q} 2>&1"

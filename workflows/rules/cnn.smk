# Learn from the grids of the training slides, then score every slide with the result.
rule train:
    input:
        learn=f"{OUT}/complete/grids-to-learn.csv",
        # Their figures end the training, their change does not begin it again.
        test=ancient(f"{OUT}/complete/grids-to-test.csv"),
        slides=ancient(f"{OUT}/slides.csv"),
        config=TRAINING,
    output:
        f"{OUT}/cnn/train/model.safetensors",
    log:
        f"{OUT}/logs/train.log",
    params:
        splits={slide: entry.split for slide, entry in SLIDES.items()},
        options=config["options"]["train"],
        grids=f"{OUT}/grids",
        out=subpath(output[0], parent=True),
    threads: 4
    resources:
        mem_mb=lambda wildcards, attempt: 16000 * attempt,
        runtime=720,
        gpu=config["gpu"],
        attempt=lambda wildcards, attempt: attempt,
    conda:
        "../envs/histocnn.yaml"
    # A job lost with its node goes on from the last whole epoch; a new training begins anew.
    # Without SLURM_NTASKS Lightning starts a process per GPU itself instead of expecting srun's.
    shell:
        "test {resources.attempt} -gt 1 || rm -rf {params.out:q};"
        " env -u SLURM_NTASKS histocnn train --config {input.config:q} --data.patches {params.grids:q}"
        " --data.slides {input.slides:q} --out {params.out:q} --ckpt_path last"
        " {params.options} > {log:q} 2>&1"


rule predict:
    input:
        grids=f"{OUT}/shards/{{shard}}/grids.csv",
        slides=f"{OUT}/shards/{{shard}}/usable.csv",
        model=MODEL,
    output:
        f"{OUT}/shards/{{shard}}/cnn-scores.csv",
    log:
        f"{OUT}/logs/predict/{{shard}}.log",
    params:
        run=RUNNER,
        patches=subpath(input.grids, strip_suffix=".csv"),
        options=config["options"]["predict"],
        out=f"{OUT}/cnn/scores",
    threads: 2
    resources:
        mem_mb=lambda wildcards, attempt: 6000 * attempt,
        runtime=minutes(120, 20),
        gpu=min(1, config["gpu"]),
    conda:
        "../envs/histocnn.yaml"
    shell:
        "python {params.run:q} {input.grids:q} {output:q} {params.out:q} .h5"
        " histocnn predict --patches {params.patches:q} --slides {input.slides:q} --model {input.model:q}"
        " --threads {threads} {params.options} --out {params.out:q} > {log:q} 2>&1"

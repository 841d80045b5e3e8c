"""The data sets by name, with what each is; needs no torch."""

from __future__ import annotations

#: The last two are followed by a path.
DATA_SETS = {
    "digits": "1,797 scans of handwritten digits, 32×32, ships with scikit-learn",
    "cifar10": "60,000 photos of 10 classes, 32×32, official files or a download (170 MB)",
    "cifar100": "60,000 photos of 100 classes, 32×32, official files or a download (169 MB)",
    "imagefolder:PATH": "train and val or test folders, or one, with a sub-folder for each class",
    "table:FILE.csv": "files by columns path,label[,split]: path from its folder; train, val, test",
}
